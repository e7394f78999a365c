"""A mechanism driver for a cloud without network agents.

Nova makes a tap device for every port, which a daemon of the host (``ports``) joins to the host's
bridge. There is nobody who would report it plugged, so a port is active as soon as it is bound.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class FlatDriver(api.MechanismDriver):
    """Binds any port of a flat network."""

    def initialize(self):
        """There is nothing to prepare."""

    @property
    def connectivity(self):
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context):
        for segment in context.segments_to_bind:
            if segment[api.NETWORK_TYPE] == constants.TYPE_FLAT:
                context.set_binding(
                    segment[api.ID],
                    portbindings.VIF_TYPE_TAP,
                    {portbindings.CAP_PORT_FILTER: False},
                    status=constants.PORT_STATUS_ACTIVE,
                )
                return

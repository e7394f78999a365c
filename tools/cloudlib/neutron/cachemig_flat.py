"""A mechanism driver for a cloud without network agents.

Every port is bound to the host's user-space bridge as soon as it is asked for;
there is nobody who would report it plugged, so it is active at once.
"""

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api

DETAILS = {
    "bridge_name": "br-int",
    # Without it os-vif turns the bridge back to the kernel's datapath.
    "datapath_type": "netdev",
    portbindings.OVS_HYBRID_PLUG: False,
    portbindings.CAP_PORT_FILTER: False,
}


class FlatDriver(api.MechanismDriver):
    """Binds any port of a flat network to br-int."""

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
                    portbindings.VIF_TYPE_OVS,
                    dict(DETAILS),
                    status=constants.PORT_STATUS_ACTIVE,
                )
                return

"""A mechanism driver for a cloud without network agents.

Nova creates a tap device for each port. A daemon of the host (``ports``) attaches it to the host's
bridge. No agent reports the port as plugged, so a port is active as soon as it is bound.
"""

from __future__ import annotations

from typing import Any

from neutron_lib import constants
from neutron_lib.api.definitions import portbindings
from neutron_lib.plugins.ml2 import api


class FlatDriver(api.MechanismDriver):
    """Binds any port of a flat network."""

    def initialize(self) -> None:
        """Required by ML2; nothing to prepare."""

    @property
    def connectivity(self) -> str:
        return portbindings.CONNECTIVITY_L2

    def bind_port(self, context: Any) -> None:
        for segment in context.segments_to_bind:
            if segment[api.NETWORK_TYPE] == constants.TYPE_FLAT:
                context.set_binding(
                    segment[api.ID],
                    portbindings.VIF_TYPE_TAP,
                    {portbindings.CAP_PORT_FILTER: False},
                    status=constants.PORT_STATUS_ACTIVE,
                )
                return

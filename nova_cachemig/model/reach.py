"""The result of one TCP connection to a guest, and the remedy for the operator."""

from __future__ import annotations

import dataclasses
import enum
from typing import Final

from nova_cachemig.model.service import Target


class Reach(enum.StrEnum):
    """How one connection to the guest's port ended."""

    REACHABLE = "reachable"
    REFUSED = "refused"  # by the guest's kernel: its application does not listen
    NO_ROUTE = "no_route"
    NO_NEIGHBOUR = "no_neighbour"
    SILENT = "silent"
    OTHER = "other"  # this node could not try


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """``source``: this node's address, if the attempt had one; ``detail``: of an OTHER error."""

    reach: Reach
    source: str | None = None
    detail: str = ""

    @property
    def reached(self) -> bool:
        """Whether packets came back from the guest."""
        return self.reach in {Reach.REACHABLE, Reach.REFUSED}


_PROBLEMS: Final = {
    Reach.REFUSED: "it refuses connections",
    Reach.NO_ROUTE: "this node has no route to it",
    Reach.NO_NEIGHBOUR: "a router reports that it is unreachable, or ARP finds no such neighbour",
    Reach.SILENT: "it does not respond",
    Reach.OTHER: "the connection failed",
}
_REMEDIES: Final = {
    Reach.REFUSED: "start the application in the instance, or correct the port of the service",
    Reach.NO_ROUTE: "add a route to the tenant's network, or give the service an address that this "
    "node reaches ('floating: true' or 'address: ADDRESS')",
    Reach.NO_NEIGHBOUR: "check that the instance runs, and that the route leads to its network",
    Reach.OTHER: "check the network of this node",
}


def address_and_port(target: Target) -> str:
    """Return ``ADDRESS:PORT``, with an IPv6 address in brackets."""
    address = f"[{target.address}]" if ":" in target.address else target.address
    return f"{address}:{target.port}"


def problem(attempt: Attempt) -> str:
    """Say what is wrong, in a clause about the guest; empty if it is reachable."""
    text = _PROBLEMS.get(attempt.reach, "")
    return f"{text} ({attempt.detail})" if attempt.detail else text


def remedy(target: Target, attempt: Attempt) -> str:
    """Say what the operator can do; empty if the guest is reachable."""
    if attempt.reach is Reach.SILENT:
        return (
            "allow this node in the instance's security group: "
            f"{security_group_rule(target, attempt.source)}. Check also that the instance runs and "
            "that packets find the way back"
        )
    return _REMEDIES.get(attempt.reach, "")


def security_group_rule(target: Target, source: str | None) -> str:
    """Return the command that lets this node reach the guest's port."""
    ethertype = " --ethertype IPv6" if ":" in target.address else ""
    return (
        f"openstack security group rule create{ethertype} --protocol tcp --dst-port {target.port} "
        f"--remote-ip {source or 'ADDRESS-OF-THIS-NODE'} GROUP"
    )

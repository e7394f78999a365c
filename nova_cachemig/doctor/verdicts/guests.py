"""Verdicts on the network between this node and each guest."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from typing import Final

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning


class Outcome(enum.Enum):
    """The result of a TCP connection to the guest's port."""

    REACHABLE = enum.auto()
    REFUSED = enum.auto()
    NO_ROUTE = enum.auto()
    NO_NEIGHBOUR = enum.auto()
    SILENT = enum.auto()
    NO_ADDRESS = enum.auto()
    NOT_TRIED = enum.auto()
    OTHER = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """``target``: ADDRESS:PORT."""

    service: str
    instance: str
    target: str
    outcome: Outcome
    detail: str = ""


_BAD: Final = {
    Outcome.NO_ROUTE: (
        "this node has no route to it",
        "Add a route to the tenant's network, or give the service an address that this node "
        "reaches, for instance a floating IP address",
    ),
    Outcome.NO_NEIGHBOUR: (
        "a router reports that it is unreachable, or ARP finds no such neighbour",
        "Check that the instance runs, and that the route leads to its network",
    ),
    Outcome.SILENT: (
        "it does not respond",
        "Allow this node in the instance's security group: openstack security group rule create "
        "--protocol tcp --dst-port PORT --remote-ip ADDRESS-OF-THIS-NODE GROUP. Check also that "
        "the instance runs and that packets find the way back",
    ),
    Outcome.NO_ADDRESS: (
        "its address is not known",
        "Check the instance, and the network in its service",
    ),
    Outcome.OTHER: ("the connection failed", "Check the network of this node"),
}


def guests(found: Sequence[Guest]) -> list[Verdict]:
    """One verdict for each guest with a problem, and one for all others."""
    verdicts = [_one(guest) for guest in found if guest.outcome in _BAD]
    verdicts += [
        warning(
            f"Service {guest.service}: {guest.target} refuses connections",
            "Start the application in the instance, or correct the port of the service",
        )
        for guest in found
        if guest.outcome is Outcome.REFUSED
    ]
    late = sum(guest.outcome is Outcome.NOT_TRIED for guest in found)
    if late:
        verdicts.append(
            warning(f"{late} guests were not tried within the time limit", "Run it again")
        )
    good = sum(guest.outcome is Outcome.REACHABLE for guest in found)
    if good:
        verdicts.append(ok(f"{good} of {len(found)} guests are reachable from this node"))
    return verdicts


def _one(guest: Guest) -> Verdict:
    what, remedy = _BAD[guest.outcome]
    where = f" at {guest.target}" if guest.target else ""
    detail = f" ({guest.detail})" if guest.detail else ""
    return failed(
        f"Service {guest.service}: instance {guest.instance}{where}: {what}{detail}", remedy
    )

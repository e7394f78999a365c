"""Verdicts on the network between this node and each guest."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning
from nova_cachemig.model.reach import Attempt, Reach, address_and_port, problem, remedy
from nova_cachemig.model.service import Target


@dataclasses.dataclass(frozen=True, slots=True)
class Guest:
    """``target`` is None if ``error`` says why it is not known; ``attempt`` None: not tried."""

    service: str
    instance: str
    target: Target | None
    attempt: Attempt | None = None
    error: str = ""


def guests(found: Sequence[Guest]) -> list[Verdict]:
    """One verdict for each guest with a problem, and one for all others."""
    verdicts = [verdict for guest in found if (verdict := _one(guest)) is not None]
    late = sum(guest.attempt is None and not guest.error for guest in found)
    if late:
        verdicts.append(
            warning(f"{late} guests were not tried within the time limit", "Run it again")
        )
    reachable = [g for g in found if g.attempt is not None and g.attempt.reach is Reach.REACHABLE]
    if reachable:
        verdicts.append(ok(f"{len(reachable)} of {len(found)} guests are reachable from this node"))
    return verdicts


def _one(guest: Guest) -> Verdict | None:
    if guest.error:
        return failed(
            f"Service {guest.service}: {guest.error}",
            "Check the instance, and the fields network, floating and address of its service",
        )
    if guest.target is None or guest.attempt is None or guest.attempt.reach is Reach.REACHABLE:
        return None
    where = address_and_port(guest.target)
    text = remedy(guest.target, guest.attempt)
    what = (
        f"Service {guest.service}: instance {guest.instance} at {where}: {problem(guest.attempt)}"
    )
    verdict = warning if guest.attempt.reach is Reach.REFUSED else failed
    return verdict(what, text[0].upper() + text[1:])

"""Cuts reads at the guests, so that the edge asks again: another guest, or the cache."""

from __future__ import annotations

from collections.abc import Iterable

from oslo_log import log

from nova_cachemig.agent.engine import sockdiag
from nova_cachemig.agent.engine.admin import AdminError
from nova_cachemig.agent.engine.guests import GuestConnections
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Target

LOG = log.getLogger(__name__)


async def cut_stuck(guests: GuestConnections, service: str, target: Target) -> None:
    """Cut the reads whose bytes are lost. Raises ComponentError and AdminError."""
    if stuck := [one for one in await guests.to(target) if one.stuck]:
        ours = await guests.descriptors()
        _cut(service, ours.select(stuck, ours.reads))


async def cut_waiting(guests: GuestConnections, service: str, target: Target) -> None:
    """Cut the reads that the guest has not begun to respond to: the edge looks for a page."""
    try:
        if found := await guests.to(target):
            ours = await guests.descriptors()
            _cut(service, ours.select(found, ours.waiting))
    except (ComponentError, AdminError) as exc:
        LOG.warning("service %s: reads cannot be asked again: %s", service, exc)


def _cut(service: str, reads: Iterable[sockdiag.Connection]) -> None:
    """Cut reads. They were listed before HAProxy's descriptors.

    So a port that is used again meanwhile does not belong to one of these connections.
    """
    cut = sum(map(sockdiag.destroy, reads))
    LOG.info("service %s: cut %d lost reads; the edge asks again", service, cut)

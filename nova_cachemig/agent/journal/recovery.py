"""Sorts the writes that a crash left: waiting, with a response, in doubt, damaged."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Sequence

import sqlalchemy as sa

from nova_cachemig.agent.journal.progress import Progress
from nova_cachemig.agent.journal.record import (
    Damaged,
    barrier_keys,
    from_row,
    micros,
    read_headers,
    response_to_row,
)
from nova_cachemig.agent.journal.schema import SERVICES, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import RecordResponse, SetState, Step, perform
from nova_cachemig.model.effects import EndedWrite, changed_urls
from nova_cachemig.model.write import AcceptedWrite, WriteState
from nova_cachemig.replay.recovery import Fate, fate

LOG = logging.getLogger(__name__)

_PAGE = 500  # rows in memory at a time


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered:
    """The result. Quarantined writes by name (``service/position``), the others as counts."""

    waiting: int = 0
    responded: int = 0  # their response was in the progress log only
    resent: tuple[str, ...] = ()  # may have been sent; sending them again is harmless
    in_doubt: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    ended: tuple[EndedWrite, ...] = ()  # those with a response, and those in doubt
    unanswered: frozenset[tuple[str, int]] = frozenset()  # sent, without a response in the log
    forgotten: frozenset[str] = frozenset()  # services that have sent, and the log is incomplete

    def sent_before(self) -> list[tuple[str, int]]:
        """Return service and position of the writes that will be sent again."""
        return _places(self.resent)

    def ended_before(self) -> list[tuple[str, int]]:
        """Return, of each service, the newest write that was sent and will not be sent again."""
        ended = self.unanswered.union(_places(self.in_doubt)).difference(self.sent_before())
        return sorted(dict(sorted(ended)).items())

    def resent_through(self, service: str) -> int:
        """Return the last position of the service that will be sent again; 0: there is none."""
        return max((place for name, place in self.sent_before() if name == service), default=0)

    def may_be_in_flight(self, service: str) -> bool:
        """Whether the guest may still process writes that this or an earlier crash has left.

        An incomplete log may lack those that an earlier crash has left, as well.
        """
        if service in self.forgotten:
            return True
        return any(name == service for name, _ in (*self.sent_before(), *self.ended_before()))


def _places(names: Sequence[str]) -> list[tuple[str, int]]:
    parts = [name.rpartition("/") for name in names]
    return [(service, int(position)) for service, _, position in parts]


@dataclasses.dataclass(slots=True)
class _Found:
    waiting: int = 0
    responded: int = 0
    resent: list[str] = dataclasses.field(default_factory=list)
    in_doubt: list[str] = dataclasses.field(default_factory=list)
    damaged: list[str] = dataclasses.field(default_factory=list)
    ended: list[EndedWrite] = dataclasses.field(default_factory=list)


def recover(connection: sa.Connection, progress: Progress, spool: Spool) -> Recovered:
    """Sort every accepted write in the connection's transaction."""
    rows = connection.execute(sa.select(SERVICES.c.service, SERVICES.c.through))
    send_limits = {str(service): int(limit) for service, limit in rows}
    found = _Found()
    service, position = "", 0
    while page := _accepted_after(connection, service, position):
        steps = [_sort(row, progress, send_limits, spool, found) for row in page]
        perform(connection, [step for step in steps if step is not None])
        service, position = page[-1]["service"], page[-1]["position"]
    for name in found.in_doubt + found.damaged:
        LOG.warning("Write %s is quarantined; see nova-cachemig-manage journal list", name)
    return Recovered(
        found.waiting,
        found.responded,
        tuple(found.resent),
        tuple(found.in_doubt),
        tuple(found.damaged),
        tuple(found.ended),
        progress.sent.difference(progress.responses),
        frozenset(name for name, limit in send_limits.items() if limit and not progress.complete),
    )


def _accepted_after(
    connection: sa.Connection, service: str, position: int
) -> Sequence[sa.RowMapping]:
    """Return the next page of accepted writes after ``service/position``."""
    query = (
        sa.select(WRITES)
        .where(
            WRITES.c.state == WriteState.ACCEPTED.value,
            sa.or_(
                WRITES.c.service > service,
                sa.and_(WRITES.c.service == service, WRITES.c.position > position),
            ),
        )
        .order_by(WRITES.c.service, WRITES.c.position)
        .limit(_PAGE)
    )
    return connection.execute(query).mappings().all()


def _sort(
    row: sa.RowMapping, progress: Progress, send_limits: dict[str, int], spool: Spool, found: _Found
) -> Step | None:
    """Count one write in ``found``; return the step that changes its row, if any."""
    service, position = str(row["service"]), int(row["position"])
    now = micros(time.time())
    response = progress.responses.get((service, position))
    if response is not None:
        found.responded += 1
        with contextlib.suppress(ValueError, TypeError):  # damaged: its pages are not known
            host, url, client, _ = barrier_keys(dict(row), spool.cipher)
            headers = read_headers(dict(row), spool.cipher)
            urls = (url, *changed_urls(url, headers, response))
            found.ended.append(EndedWrite(service, host, urls, client))
        keep = bool(row["wants_later"]) or bool(row["flags"] & 1)
        kept = response_to_row(response, service, position, now, spool.cipher) if keep else None
        return RecordResponse(service, position, kept)
    try:
        write = from_row(dict(row), spool.cipher)
        if write.body.spool is not None and not spool.intact(write.body):
            raise Damaged(f"write {write.name}: its spool file {write.body.spool} is damaged")
    except (Damaged, ValueError, TypeError) as exc:
        found.damaged.append(f"{service}/{position}")
        return SetState(service, position, WriteState.DAMAGED, now, str(exc))
    return _sort_intact(write, progress, send_limits, found)


def _sort_intact(
    write: AcceptedWrite, progress: Progress, send_limits: dict[str, int], found: _Found
) -> Step | None:
    sent = (write.service, write.position) in progress.sent
    decided = fate(
        resendable=write.resendable,
        sent=sent,
        responded=False,
        complete=progress.complete,
        position=write.position,
        send_limit=send_limits.get(write.service, 0),
    )
    if decided is not Fate.IN_DOUBT:
        found.waiting += 1
        if decided is Fate.RESENT:
            found.resent.append(write.name)
        return None
    found.in_doubt.append(write.name)
    urls = (write.url, *changed_urls(write.url, write.headers))
    found.ended.append(EndedWrite(write.service, write.host, urls, write.client))
    why = (
        "the agent died after sending it and before its response"
        if sent
        else "the cache node lost power, or its progress log, and it may have been sent"
    )
    note = f"{why}; {write.method} must not be sent twice and the service honours no keys"
    at = micros(time.time())
    return SetState(write.service, write.position, WriteState.IN_DOUBT, at, note)

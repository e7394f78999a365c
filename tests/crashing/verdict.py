"""Brings together what clients, guest and journal know about a run, and judges it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from nova_cachemig.agent.journal import database
from nova_cachemig.agent.journal.record import from_row
from nova_cachemig.agent.journal.schema import HANDOVERS, WRITES
from nova_cachemig.model.write import WriteState
from tests.crashing.client import Client
from tests.crashing.guest import Applied, Guest
from tests.crashing.observer import Notes
from tests.crashing.oplog import IDEMPOTENT, Sent, Verdict, judge
from tests.crashing.rules import Place, old_reads, overtaken

_SLOW: Final = 0.5  # seconds; behind a response that takes longer, writes without ties may pass


@dataclasses.dataclass(frozen=True)
class Evidence:
    """The logs besides the journal."""

    clients: Sequence[Client]
    guest: Guest
    notes: Path
    outcomes: dict[str, str]  # id → what its status URL told at the end
    killed_at: Sequence[float]  # monotonic times


def verdict_of(evidence: Evidence, connection: str | None, directory: Path) -> Verdict:
    """Judge a run whose journal is at rest."""
    sent = {write.id: write for client in evidence.clients for write in client.oplog}
    guest, notes = evidence.guest, Notes(evidence.notes)
    listed = _in_state(WriteState.IN_DOUBT, connection, directory)
    firsts = {entry.id: entry for entry in reversed(guest.log)}
    # A write in doubt has no order: the operator decides.
    ordered = [
        dataclasses.replace(write, acknowledged_at=None) if write.id in listed else write
        for write in sent.values()
    ]
    verdict = judge(
        ordered, guest.received, guest.applied, listed,
        honours_keys=guest.honours_keys, accepted=notes.durable,
        concurrent=lambda name, other: _concurrent(firsts[name], firsts[other], sent[other]),
    )  # fmt: skip
    reads = [read for client in evidence.clients for read in client.reads]
    return dataclasses.replace(
        verdict,
        acknowledged=sum(write.acknowledged_at is not None for write in sent.values()),
        overtaken=tuple(_overtaken(evidence, notes, sent, listed)),
        old_reads=tuple(old_reads(reads, ordered, guest.applied, listed)),
        crossed=tuple(one for client in evidence.clients for one in client.crossed),
        never_sent=tuple(sorted(_in_state(WriteState.ACCEPTED, connection, directory))),
        wrong_outcomes=tuple(_wrong_outcomes(evidence.outcomes, listed)),
        reads=len(reads),
        journalled=len(notes.durable),
        handovers=_handovers(connection, directory),
    )


def _concurrent(first: Applied, other: Applied, sent: Sent) -> bool:
    """Whether a direct write was in flight before a journalled one was first sent."""
    return other.direct and not first.direct and sent.sent_at < first.received_at


def _overtaken(
    evidence: Evidence, notes: Notes, sent: dict[str, Sent], listed: set[str]
) -> list[str]:
    """Return the journalled writes whose first application is in another order than accepted.

    A write in doubt has an order only where the agent has crashed in between: the next one waits
    until the guest is done with it.
    """
    guest = evidence.guest
    entries = {entry.id: entry for entry in reversed(guest.log)}
    slow = [e for e in entries.values() if e.applied_at - e.received_at >= _SLOW]

    def may_pass(later: Place, earlier: Place) -> bool:
        other, write = sent[later[0]], sent[earlier[0]]
        began, at = entries[write.id].received_at, entries[other.id].received_at
        if write.id in listed:
            return not any(began < killed < at for killed in evidence.killed_at)
        tied = other.url == write.url and not {other.method, write.method}.isdisjoint(IDEMPOTENT)
        if other.client == write.client or tied:
            return False
        return any(e.received_at + _SLOW <= at <= e.applied_at for e in slow)

    log = [
        (entry.id, notes.positions[entry.id])
        for entry in guest.log
        if not entries[entry.id].direct and entry.id in notes.positions
    ]
    return overtaken(log, may_pass)


def _wrong_outcomes(outcomes: dict[str, str], listed: set[str]) -> list[str]:
    """Return the writes of which the status URL tells neither the response nor the doubt."""
    return [
        f"{name}: {text[:80]}"
        for name, text in outcomes.items()
        if text != name
        if not (name in listed and '"in_doubt"' in text)
    ]


def _handovers(connection: str | None, directory: Path) -> int:
    url = database.url_for(connection, directory)
    with database.create_engine(url).connect() as opened:
        return int(opened.scalar(sa.select(sa.func.count()).select_from(HANDOVERS)) or 0)


def _in_state(state: WriteState, connection: str | None, directory: Path) -> set[str]:
    url = database.url_for(connection, directory)
    with database.create_engine(url).connect() as opened:
        found = sa.select(WRITES).where(WRITES.c.state == state.value)
        writes = [from_row(row) for row in opened.execute(found).mappings()]
    return {dict(write.headers)["x-write"] for write in writes}

"""What a crash left: which writes wait, were answered, are in doubt, are damaged."""

from __future__ import annotations

import dataclasses
import logging
import time

import sqlalchemy as sa

from nova_cachemig.agent.journal.progress import Progress
from nova_cachemig.agent.journal.record import Damaged, from_row, micros, response_to_row
from nova_cachemig.agent.journal.schema import SERVICES, WRITES
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.statements import Answered, SetState, Step, perform
from nova_cachemig.model.write import HeldWrite, WriteState

LOG = logging.getLogger(__name__)

_AT_ONCE = 500  # rows in memory


@dataclasses.dataclass(frozen=True, slots=True)
class Recovered:
    """Names (``service/position``) of what was set aside; counts of the rest."""

    waiting: int = 0
    answered: int = 0  # known from the progress log only
    resent: tuple[str, ...] = ()  # may have been sent; will be sent (again) without harm
    in_doubt: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()

    def under_way(self, service: str) -> bool:
        """Whether the guest may still deal with writes of this service that it got before."""
        return any(name.rpartition("/")[0] == service for name in (*self.resent, *self.in_doubt))


@dataclasses.dataclass(slots=True)
class _Found:
    waiting: int = 0
    answered: int = 0
    resent: list[str] = dataclasses.field(default_factory=list)
    in_doubt: list[str] = dataclasses.field(default_factory=list)
    damaged: list[str] = dataclasses.field(default_factory=list)


def recover(connection: sa.Connection, progress: Progress, spool: Spool) -> Recovered:
    """Sort every accepted write, in the connection's transaction."""
    rows = connection.execute(sa.select(SERVICES.c.service, SERVICES.c.through))
    through = {str(service): int(top) for service, top in rows}
    found = _Found()
    service, position = "", 0
    while True:
        page = (
            connection.execute(
                sa.select(WRITES)
                .where(
                    WRITES.c.state == WriteState.ACCEPTED.value,
                    sa.or_(
                        WRITES.c.service > service,
                        sa.and_(WRITES.c.service == service, WRITES.c.position > position),
                    ),
                )
                .order_by(WRITES.c.service, WRITES.c.position)
                .limit(_AT_ONCE)
            )
            .mappings()
            .all()
        )
        if not page:
            break
        steps = [_sort(row, progress, through, spool, found) for row in page]
        perform(connection, [step for step in steps if step is not None])
        service, position = page[-1]["service"], page[-1]["position"]
    for name in found.in_doubt + found.damaged:
        LOG.warning("Write %s was set aside; see nova-cachemig-manage journal list", name)
    return Recovered(
        found.waiting,
        found.answered,
        tuple(found.resent),
        tuple(found.in_doubt),
        tuple(found.damaged),
    )


def _sort(
    row: sa.RowMapping, progress: Progress, through: dict[str, int], spool: Spool, found: _Found
) -> Step | None:
    service, position = str(row["service"]), int(row["position"])
    now = micros(time.time())
    answer = progress.answers.get((service, position))
    if answer is not None:
        found.answered += 1
        asked = bool(row["wants_later"]) or bool(row["flags"] & 1)
        kept = response_to_row(answer, service, position, now, spool.cipher) if asked else None
        return Answered(service, position, kept)
    try:
        write = from_row(dict(row), spool.cipher)
        if write.body.spool is not None and not spool.intact(write.body):
            raise Damaged(f"write {write.name}: its spool file {write.body.spool} is damaged")
    except (Damaged, ValueError, TypeError) as exc:
        found.damaged.append(f"{service}/{position}")
        return SetState(service, position, WriteState.DAMAGED, now, str(exc))
    return _doubt(write, progress, through, found)


def _doubt(
    write: HeldWrite, progress: Progress, through: dict[str, int], found: _Found
) -> Step | None:
    known = (write.service, write.position) in progress.sent
    maybe = not progress.whole and write.position <= through.get(write.service, 0)
    if not known and not maybe:
        found.waiting += 1
        return None
    if write.resendable:
        found.waiting += 1
        found.resent.append(write.name)
        return None
    found.in_doubt.append(write.name)
    why = (
        "the agent died between sending it and its answer"
        if known
        else "the cache node lost power, or its progress log, and it may have been sent"
    )
    note = f"{why}; {write.method} may not be sent twice and the service honours no keys"
    at = micros(time.time())
    return SetState(write.service, write.position, WriteState.IN_DOUBT, at, note)

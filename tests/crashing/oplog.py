"""The log of operations: writes as their clients saw them, and the verdict about them.

The judge compares this log with the guest's log and with the writes listed as in doubt.
``tests/crashing/rules`` has further rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Final

IDEMPOTENT = frozenset({"PUT", "DELETE"})
FAULTS: Final = (
    "lost", "doubled", "reordered", "refused_but_applied", "in_doubt_unlisted", "overtaken",
    "old_reads", "crossed", "never_sent", "wrong_outcomes",
)  # fmt: skip
"""The fields of a verdict that must be empty."""


@dataclasses.dataclass(slots=True)
class Sent:
    """One write as its client saw it. Times are of one monotonic clock, in seconds."""

    id: str
    client: str
    method: str
    sent_at: float
    acknowledged_at: float | None = None  # a 2xx of the guest, or a 202 of the journal
    url: str = ""
    refused: bool = False  # the response was "not accepted": it must not be applied
    told_in_doubt: bool = False  # the journal's response was that the operator decides
    status_url: str = ""  # where the journal tells the outcome


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """One read: ``value`` is the id of the write that the page shows, None for no write."""

    page: str
    at: float  # when it was sent, as the times of :class:`Sent`
    value: str | None


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """The result: counts, and the ids of writes that went wrong."""

    writes: int
    acknowledged: int
    lost: tuple[str, ...]
    doubled: tuple[str, ...]
    reordered: tuple[str, ...]
    refused_but_applied: tuple[str, ...]
    in_doubt_listed: int
    in_doubt_unlisted: tuple[str, ...]
    # Idempotent writes that were applied again before any other write to their URL: harmless.
    reapplied: int
    overtaken: tuple[str, ...] = ()  # journalled, and applied in another order than accepted
    old_reads: tuple[str, ...] = ()  # without a write that was acknowledged before
    crossed: tuple[str, ...] = ()  # clients that got another's response
    never_sent: tuple[str, ...] = ()  # still wait in the journal at the end
    wrong_outcomes: tuple[str, ...] = ()  # status URLs that do not tell the write's outcome
    reads: int = 0
    journalled: int = 0  # writes that the journal has accepted
    handovers: int = 0

    @property
    def faults(self) -> dict[str, tuple[str, ...]]:
        """The ids of all that went wrong, by the name of the field."""
        return {name: found for name in FAULTS if (found := getattr(self, name))}


def judge(
    sent: Iterable[Sent],
    received: set[str],
    applied: Sequence[str],
    listed: set[str],
    *,
    honours_keys: bool,
    accepted: Iterable[str] = (),
    concurrent: Callable[[str, str], bool] = lambda _name, _other: False,
) -> Verdict:
    """Judge a run.

    ``received``: ids that reached the guest. ``applied``: ids in the order of application.
    ``listed``: ids in doubt. ``accepted``: ids that the journal has called durable, whether or not
    their clients got a response. ``concurrent``: whether the second write, which the guest has
    applied between two applications of the first one, was in flight beside it from the beginning.
    """
    writes = {write.id: write for write in sent}
    done = set(applied)
    durable = set(accepted)
    missing = [
        write.id
        for write in writes.values()
        if write.acknowledged_at is not None or write.id in durable
        if write.id not in done and write.id not in listed
    ]
    told = [w.id for w in writes.values() if w.told_in_doubt and w.id not in listed]
    doubled, reapplied = _doubled(writes, applied, honours_keys, concurrent)
    return Verdict(
        writes=len(writes),
        acknowledged=sum(write.acknowledged_at is not None for write in writes.values()),
        lost=tuple(name for name in missing if name not in received),
        doubled=doubled,
        reordered=_reordered(writes, applied),
        refused_but_applied=tuple(n for n in done if n in writes and writes[n].refused),
        in_doubt_listed=len(listed),
        in_doubt_unlisted=tuple(dict.fromkeys([*(n for n in missing if n in received), *told])),
        reapplied=reapplied,
    )


def _doubled(
    writes: dict[str, Sent],
    applied: Sequence[str],
    honours_keys: bool,
    concurrent: Callable[[str, str], bool],
) -> tuple[tuple[str, ...], int]:
    doubled: list[str] = []
    reapplied = 0
    seen: set[str] = set()
    pages: dict[str, list[str]] = {}  # URL → the writes that were applied to it
    for name in applied:
        write = writes[name]
        page = pages.setdefault(write.url, [])
        if name in seen:
            first = page.index(name)
            between = {other for other in page[first:] if other != name}
            harmless = write.method in IDEMPOTENT and not honours_keys
            harmless = harmless and all(concurrent(name, other) for other in between)
            reapplied += harmless
            if not harmless:
                doubled.append(name)
        seen.add(name)
        page.append(name)
    return tuple(doubled), reapplied


def _reordered(writes: dict[str, Sent], applied: Sequence[str]) -> tuple[str, ...]:
    """Return the writes that were applied after a write that was sent after their acknowledgement.

    Only the first application counts. :func:`_doubled` judges repetitions: it permits only a
    repetition of an idempotent write before any other write to its URL, which changes nothing.
    """
    latest = 0.0
    wrong: list[str] = []
    for name in dict.fromkeys(applied):
        write = writes[name]
        if write.acknowledged_at is not None and write.acknowledged_at < latest:
            wrong.append(name)
        latest = max(latest, write.sent_at)
    return tuple(wrong)

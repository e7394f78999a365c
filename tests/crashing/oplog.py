"""The log of operations: writes as their clients saw them, and the verdict about them.

The judge compares this log with the guest's log and with the writes listed as in doubt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

IDEMPOTENT = frozenset({"PUT", "DELETE"})


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


def judge(
    sent: Iterable[Sent],
    received: set[str],
    applied: Sequence[str],
    listed: set[str],
    *,
    honours_keys: bool,
) -> Verdict:
    """Judge a run.

    ``received``: ids that reached the guest. ``applied``: ids in the order of application.
    ``listed``: ids in doubt.
    """
    writes = {write.id: write for write in sent}
    done = set(applied)
    missing = [
        write.id
        for write in writes.values()
        if write.acknowledged_at is not None and write.id not in done and write.id not in listed
    ]
    doubled, reapplied = _doubled(writes, applied, honours_keys)
    return Verdict(
        writes=len(writes),
        acknowledged=sum(write.acknowledged_at is not None for write in writes.values()),
        lost=tuple(name for name in missing if name not in received),
        doubled=doubled,
        reordered=_reordered(writes, applied),
        refused_but_applied=tuple(n for n in done if n in writes and writes[n].refused),
        in_doubt_listed=len(listed),
        in_doubt_unlisted=tuple(name for name in missing if name in received),
        reapplied=reapplied,
    )


def _doubled(
    writes: dict[str, Sent], applied: Sequence[str], honours_keys: bool
) -> tuple[tuple[str, ...], int]:
    seen: set[str] = set()
    doubled: list[str] = []
    reapplied = 0
    newest: dict[str, str] = {}  # URL → the write that was last applied to it
    for name in applied:
        write = writes[name]
        if name in seen:
            harmless = newest[write.url] == name and write.method in IDEMPOTENT
            reapplied += harmless and not honours_keys
            if not harmless or honours_keys:
                doubled.append(name)
        seen.add(name)
        newest[write.url] = name
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

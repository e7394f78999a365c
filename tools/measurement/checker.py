"""Checks that each acknowledged write was applied once, in order, and that no read was older.

The checker uses the load's observations and the guest's log. Its findings:

* *lost*: the write was acknowledged (2xx or 3xx) and is not in the log.
* *doubled*: the write is in the log more than once, acknowledged or not.
* *reordered*: a write A was acknowledged before a write B was sent. But the log has B first.
  ``reordered`` counts each such B, and ``reordered_per_client`` those whose A has the same client.
  Two writes that were pending at the same time have no required order.
* *altered*: the log has the write with a different method, path or body.
* *stale*: a read was sent after a write to its path had been acknowledged, and its response names
  an earlier write (``X-Write-Seq``).

If a write is in the log twice, its first place counts. The doubling is a separate finding.
"""

from __future__ import annotations

import bisect
import dataclasses
import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from tools.measurement.analysis.outcome import Audit
from tools.measurement.guestlog import Applied

_DIGESTS: Final = {32: hashlib.md5, 40: hashlib.sha1, 64: hashlib.sha256}  # hex digits
SHOWN: Final = 5  # findings of each kind that are listed


@dataclasses.dataclass(frozen=True, slots=True)
class Write:
    """A write that was sent; ``acked`` is the time of its acknowledgement, None if it got none."""

    request: str
    client: str
    method: str
    path: str
    sent: float
    acked: float | None
    body: bytes = b""  # empty: not compared


@dataclasses.dataclass(frozen=True, slots=True)
class Read:
    """A read whose response names the last write to its path."""

    request: str
    path: str
    sent: float
    seq: int


class Ordered:
    """Finds, for any instant, the last place in the log of the writes acknowledged before it."""

    def __init__(self, acked: Iterable[tuple[float, int, str]]) -> None:
        ranked = sorted(acked)
        self._times = [at for at, _, _ in ranked]
        self._last = list(itertools.accumulate(((seq, name) for _, seq, name in ranked), max))

    def before(self, instant: float) -> tuple[int, str] | None:
        """Place and request id; None if no write was acknowledged before ``instant``."""
        index = bisect.bisect_left(self._times, instant)
        return self._last[index - 1] if index else None


def audit(writes: Sequence[Write], reads: Sequence[Read], log: Iterable[Applied]) -> Audit:
    """Check the writes and reads against the log; other writes in the log are ignored."""
    places: dict[str, list[Applied]] = {write.request: [] for write in writes}
    for applied in log:
        if applied.request in places:
            places[applied.request].append(applied)
    first = {name: min(applied.seq for applied in found) for name, found in places.items() if found}
    acked = [write for write in writes if write.acked is not None]
    lost = [write for write in acked if write.request not in first]
    doubled = [write for write in writes if len(places[write.request]) > 1]
    altered = [write for write in writes if any(_differs(write, a) for a in places[write.request])]
    anywhere = _reordered(writes, first, lambda write: "")
    own = _reordered(writes, first, lambda write: write.client)
    stale = _stale(writes, reads, first)
    findings = [
        *_listed("lost", [f"{w.method} {w.path} ({w.request})" for w in lost]),
        *_listed("doubled", [f"{w.method} {w.path} ({w.request})" for w in doubled]),
        *_listed("altered", [f"{w.method} {w.path} ({w.request})" for w in altered]),
        *_listed("reordered", [f"{b.request} before {a}" for b, a in anywhere]),
        *_listed(
            "stale read",
            [f"{r.path} ({r.request}): write {r.seq}, not {seq} ({a})" for r, seq, a in stale],
        ),
    ]
    return Audit(
        writes_acked=len(acked),
        writes_lost=len(lost),
        writes_doubled=len(doubled),
        writes_reordered=len(anywhere),
        writes_reordered_per_client=len(own),
        writes_altered=len(altered),
        stale_reads_after_write=len(stale),
        reads_checked=len(reads),
        findings=tuple(findings),
    )


def _differs(write: Write, applied: Applied) -> bool:
    digest = _DIGESTS.get(len(applied.body))  # the length of the guest's hash shows its kind
    body = bool(write.body and digest and digest(write.body).hexdigest() != applied.body.lower())
    return body or (write.method, write.path) != (applied.method, applied.path)


def _group(
    writes: Iterable[Write], first: Mapping[str, int], key: Callable[[Write], str]
) -> dict[str, Ordered]:
    groups: dict[str, list[tuple[float, int, str]]] = {}
    for write in writes:
        if write.acked is not None and write.request in first:
            entry = (write.acked, first[write.request], write.request)
            groups.setdefault(key(write), []).append(entry)
    return {name: Ordered(entries) for name, entries in groups.items()}


def _reordered(
    writes: Iterable[Write], first: Mapping[str, int], key: Callable[[Write], str]
) -> list[tuple[Write, str]]:
    """Each reordered write, with the earlier one that it overtook."""
    writes = list(writes)
    groups = _group(writes, first, key)
    found = []
    for write in writes:
        place, group = first.get(write.request), groups.get(key(write))
        earlier = group.before(write.sent) if group else None
        if place is not None and earlier and earlier[0] > place:
            found.append((write, earlier[1]))
    return found


def _stale(
    writes: Iterable[Write], reads: Iterable[Read], first: Mapping[str, int]
) -> list[tuple[Read, int, str]]:
    groups = _group(writes, first, lambda write: write.path)
    found = []
    for read in reads:
        group = groups.get(read.path)
        newest = group.before(read.sent) if group else None
        if newest and read.seq < newest[0]:
            found.append((read, *newest))
    return found


def _listed(what: str, cases: list[str]) -> list[str]:
    more = [f"{what}: {len(cases) - SHOWN} more"] if len(cases) > SHOWN else []
    return [f"{what}: {case}" for case in cases[:SHOWN]] + more

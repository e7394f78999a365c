"""The verdict about one service: the responses of its clients, against the log of its guest.

The promises are those of ``doc/source/tenant`` and ``doc/source/operator/writes.rst``.
"""

from __future__ import annotations

import bisect
import collections
import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence

from tests.workload.guest import KEYED
from tests.workload.records import FINAL, GuestLog, Outcome, Read, Reception, Try, Write

FAULTS = (
    *("lost", "doubled", "overtaken", "old_reads", "crossed", "resent", "refused_but_applied"),
    *("partly_sent_but_applied", "altered", "unlisted", "unresolved", "stuck", "dropped"),
)
HELD_AT_MOST = 6.0  # seconds: [engine] hold_timeout
_IDEMPOTENT = frozenset({"PUT", "DELETE"})
_NO_MEMORY = "unknown"  # the state of a status URL with 404


@dataclasses.dataclass(frozen=True, slots=True)
class Facts:
    """``quarantined``: ids that are listed for the operator. Intervals: ``(from, to)``.

    ``agent_away``: the agent was killed or restarted. ``guest_away``: the guest's process was dead.
    """

    writes: Sequence[Write]
    reads: Sequence[Read]
    guest: GuestLog
    quarantined: frozenset[str]
    honours_keys: bool
    agent_away: Sequence[tuple[float, float]] = ()
    guest_away: Sequence[tuple[float, float]] = ()


class Judge:
    """Judges one service. Each method yields sentences that begin with the id of a write."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._writes = {write.id: write for write in facts.writes}
        self._receptions: dict[str, list[Reception]] = collections.defaultdict(list)
        for one in facts.guest.receptions:
            self._receptions[one.write].append(one)
        self._applied: dict[str, list[Reception]] = collections.defaultdict(list)
        for one in facts.guest.applied:
            self._applied[one.write].append(one)

    def verdict(self) -> dict[str, list[str]]:
        """Return the sentences by fault."""
        return {
            "lost": list(self.lost()),
            "doubled": list(self.doubled()),
            "overtaken": list(self.overtaken()),
            "old_reads": list(self.old_reads()),
            "resent": list(self.resent()),
            "refused_but_applied": list(self.refused()),
            "partly_sent_but_applied": list(self.partly_sent()),
            "altered": list(self.altered()),
            "unlisted": list(self.unlisted()),
            "unresolved": list(self.unresolved()),
            "stuck": list(self.stuck()),
            "dropped": list(self.dropped()),
        }

    # --- application

    def lost(self) -> Iterable[str]:
        """Yield promised writes that the guest has neither applied nor responded to."""
        for write in self._facts.writes:
            at = acknowledged_at(write)
            if at is None or self._applied[write.id] or write.id in self._facts.quarantined:
                continue
            told = any(one.said_at for one in self._receptions[write.id])
            if not told and write.id not in self._facts.guest.early:
                yield f"{write.id}: {_story(write)}; receptions {self._receptions[write.id]}"

    def doubled(self) -> Iterable[str]:
        """Yield writes that were applied too often.

        An idempotent write may be applied again before any other write to its page.
        """
        newest: dict[str, str] = {}
        seen: collections.Counter[str] = collections.Counter()
        for one in self._facts.guest.applied:
            write = self._writes.get(one.write)
            seen[one.write] += 1
            again = seen[one.write] > 1
            if write is not None and again and not self._may_repeat(write, seen[write.id], newest):
                yield f"{write.id}: {_story(write)}; {self._applied[write.id]}"
            newest.update((url, one.write) for url, _ in one.changes or ())

    def _may_repeat(self, write: Write, times: int, newest: Mapping[str, str]) -> bool:
        if self._facts.honours_keys and write.method in KEYED and write.keyed:
            return False
        if write.method in _IDEMPOTENT and newest[write.url] == write.id:
            return True
        # The client itself has sent it again, at its own risk.
        return write.keyed and times <= len(write.tries)

    def overtaken(self) -> Iterable[str]:
        """Yield writes that were applied after one that was sent after their acknowledgement."""
        latest, by = 0.0, ""
        for name in dict.fromkeys(one.write for one in self._facts.guest.applied):
            write = self._writes.get(name)
            if write is None:
                continue
            at = acknowledged_at(write)
            if at is not None and at < latest:
                other = f"overtaken by {by}: {_story(self._writes[by])}; {self._applied[by]}"
                yield f"{name}: {_story(write)}; {self._applied[name]}; {other}"
            if write.tries[0].sent_at > latest:
                latest, by = write.tries[0].sent_at, name

    def resent(self) -> Iterable[str]:
        """Yield writes that the guest got again though they must not be sent twice."""
        for name, receptions in self._receptions.items():
            write = self._writes.get(name)
            if write is None or len(receptions) <= 1 or write.keyed:
                continue
            for before, after in itertools.pairwise(receptions):
                why = self._wrong_repetition(write, before, after)
                if why:
                    yield f"{name}: {why}; {_story(write)}; {receptions}"
                    break

    def _wrong_repetition(self, write: Write, before: Reception, after: Reception) -> str:
        if "edge" in {before.via, after.via}:
            return "sent again beside the journal"
        resendable = write.method in _IDEMPOTENT or (
            self._facts.honours_keys and write.method in KEYED
        )
        if not resendable:
            return "sent again though it must not be"
        if before.said_at is None or before.way in {"busy", "early"}:
            return ""
        if _LOSES_RESPONSES & {before.way, before.after} or self._away(before.at, after.at):
            return ""
        return "sent again after its response"

    def _away(self, since: float, until: float) -> bool:
        return any(low <= until and high >= since for low, high in self._facts.agent_away)

    # --- the responses of clients

    def refused(self) -> Iterable[str]:
        """Yield writes that were applied though each try was refused."""
        for write in self._facts.writes:
            if self._applied[write.id] and all(
                one.outcome is Outcome.REFUSED for one in write.tries
            ):
                yield f"{write.id}: {_story(write)}; {self._applied[write.id]}"

    def partly_sent(self) -> Iterable[str]:
        """Yield writes that the guest got though no client has sent them completely."""
        for write in self._facts.writes:
            if self._receptions[write.id] and not any(one.whole for one in write.tries):
                yield f"{write.id}: {_story(write)}; {self._receptions[write.id]}"

    def altered(self) -> Iterable[str]:
        """Yield receptions with another body than the client's, or of no client."""
        for one in self._facts.guest.receptions:
            if not one.intact or one.write not in self._writes:
                yield f"{one.write}: {one}"

    def unlisted(self) -> Iterable[str]:
        """Yield writes that are in doubt for their client, and not listed for the operator."""
        for write in self._facts.writes:
            doubt = write.tries[-1].outcome is Outcome.DOUBT and write.tries[-1].status == 502
            if doubt and write.state in {None, _NO_MEMORY} and not self._applied[write.id]:
                yield f"{write.id}: {_story(write)}; state {write.state}"
            if write.state == "in_doubt" and write.id not in self._facts.quarantined:
                yield f"{write.id}: {_story(write)}; state {write.state}, but not listed"

    def unresolved(self) -> Iterable[str]:
        """Yield 202 responses whose status URL does not tell the outcome in the end."""
        for write in self._facts.writes:
            if write.promised and write.state in {None, "accepted", _NO_MEMORY}:
                yield f"{write.id}: {_story(write)}; state {write.state}"

    def stuck(self) -> Iterable[str]:
        """Yield writes whose clients lost patience."""
        for write in self._facts.writes:
            if any(one.outcome is Outcome.STUCK for one in write.tries):
                yield f"{write.id}: {_story(write)}; {self._receptions[write.id]}"

    def dropped(self) -> Iterable[str]:
        """Yield writes whose connection the node closed without a response."""
        for write in self._facts.writes:
            for one in write.tries:
                if one.outcome is Outcome.DROPPED and not self._may_drop(write, one):
                    yield f"{write.id}: {_story(write)}; {self._receptions[write.id]}"

    def _may_drop(self, write: Write, one: Try) -> bool:
        """Whether the connection may end without a response.

        HAProxy ends one that has had a response before if the guest ends its own. A connection may
        also end between two requests; then the guest gets nothing of the second one.
        """
        if self._away(one.sent_at, one.done_at):
            return True
        if any(low <= one.done_at and high >= one.sent_at for low, high in self._facts.guest_away):
            return True
        got = [found for found in self._receptions[write.id] if found.at >= one.sent_at]
        if one.reused and not any(found.at <= one.done_at for found in got):
            return True
        return any(found.via == "edge" and found.said_at is None for found in got)

    # --- reads

    def _points(self, write: Write) -> Iterable[tuple[str, str, _Point]]:
        """Yield who must find which version of which page, and from when on; "": everyone."""
        if not self._applied[write.id]:
            return
        first = self._applied[write.id][0]
        told = first.way not in _TELLS_NO_LOCATION and len(write.tries) == 1
        for one in write.tries:
            if one.outcome not in FINAL or one.status in {409, 413}:
                continue
            for url, version in first.changes or ():
                point = _Point(one.done_at, version, write.id)
                if url == write.url:
                    yield "", url, point
                elif told:
                    yield write.client if one.outcome is Outcome.ACCEPTED else "", url, point

    def _held_long(self, read: Read) -> bool:
        """Whether it waited for an agent that was away for longer than a read may be held.

        Then the edge asks the guest: nothing else can end the wait.
        """
        held = read.done_at - read.sent_at >= HELD_AT_MOST
        return held and self._away(read.sent_at, read.done_at)

    def old_reads(self) -> Iterable[str]:
        """Yield reads older than a write whose acknowledgement came before they were sent.

        A response of the guest counts for all pages that it names, a 202 for the page of the write,
        and for all others for the same client.
        """
        points: dict[tuple[str, str], list[_Point]] = collections.defaultdict(list)
        for write in self._facts.writes:
            for reader, url, point in self._points(write):
                points[reader, url].append(point)
        newest = {key: _highest(sorted(found)) for key, found in points.items()}
        for one_read in self._facts.reads:
            for reader in ("", one_read.client):
                least = _before(newest.get((reader, one_read.url), []), one_read.sent_at)
                if least and one_read.version < least.version and not self._held_long(one_read):
                    write = self._writes[least.write]
                    yield (f"{least.write}: {one_read}, older than version {least.version}; "
                           f"{_story(write)}; {self._applied[write.id]}")  # fmt: skip


_LOSES_RESPONSES = frozenset({"abrupt", "close", "old", "cut", "garbage", "endless", "huge"})
"""One side closes the connection then, so a response may be lost on the way."""


_TELLS_NO_LOCATION = frozenset({"error", "garbage", "die-after", "reset", "cut"})
"""Such a response does not tell which other pages the write has changed."""


@dataclasses.dataclass(frozen=True, order=True, slots=True)
class _Point:
    at: float
    version: int
    write: str


def _highest(points: list[_Point]) -> list[_Point]:
    """Return, for each point in the order of time, the point with the highest version so far."""
    found: list[_Point] = []
    for point in points:
        best = found[-1] if found and found[-1].version >= point.version else point
        found.append(_Point(point.at, best.version, best.write))
    return found


def _before(points: list[_Point], at: float) -> _Point | None:
    index = bisect.bisect_left(points, at, key=lambda point: point.at)
    return points[index - 1] if index else None


def acknowledged_at(write: Write) -> float | None:
    """Return when the client had the promise, or the guest's own response; None: never."""
    for one in write.tries:
        if one.outcome in {Outcome.GUEST, Outcome.ACCEPTED}:
            return one.done_at
    return None


def _story(write: Write) -> str:
    tries = ", ".join(
        f"{one.manner} {one.outcome} {one.status or ''} {one.sent_at:.3f}-{one.done_at:.3f} "
        f"{one.detail[:160]}"
        for one in write.tries
    )
    return f"{write.method} {write.url} of {write.service}: {tries}; status URL says {write.state}"

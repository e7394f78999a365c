"""The verdict about one service: the responses of its clients, against the log of its guest.

The promises are those of ``doc/source/tenant`` and ``doc/source/operator/writes.rst``.
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Iterable, Mapping

from tests.workload.freshness import Freshness
from tests.workload.guest import KEYED
from tests.workload.records import Facts, Outcome, Reception, Try, Write, story

FAULTS = (
    *("lost", "doubled", "overtaken", "old_reads", "crossed", "resent", "refused_but_applied"),
    *("partly_sent_but_applied", "altered", "unlisted", "unresolved", "stuck", "dropped"),
)
_IDEMPOTENT = frozenset({"PUT", "DELETE"})
_NO_MEMORY = "unknown"  # the state of a status URL with 404


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
            "old_reads": list(Freshness(self._facts).old_reads()),
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
                yield f"{write.id}: {story(write)}; receptions {self._receptions[write.id]}"

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
                yield f"{write.id}: {story(write)}; {self._applied[write.id]}"
            for url, _ in one.changes or ():
                # In parallel, only writes to one URL keep their order, whatever else they change.
                if self._facts.total_order or write is None or url == write.url:
                    newest[url] = one.write

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
                other = f"overtaken by {by}: {story(self._writes[by])}; {self._applied[by]}"
                yield f"{name}: {story(write)}; {self._applied[name]}; {other}"
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
                    yield f"{name}: {why}; {story(write)}; {receptions}"
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
        if _LOSES_RESPONSES & {before.way, before.after} or self._facts.agent_was_away(
            before.at, after.at
        ):
            return ""
        return "sent again after its response"

    # --- the responses of clients

    def refused(self) -> Iterable[str]:
        """Yield writes that were applied though each try was refused."""
        for write in self._facts.writes:
            if self._applied[write.id] and all(
                one.outcome is Outcome.REFUSED for one in write.tries
            ):
                yield f"{write.id}: {story(write)}; {self._applied[write.id]}"

    def partly_sent(self) -> Iterable[str]:
        """Yield writes that the guest got though no client has sent them completely."""
        for write in self._facts.writes:
            if self._receptions[write.id] and not any(one.whole for one in write.tries):
                yield f"{write.id}: {story(write)}; {self._receptions[write.id]}"

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
                yield f"{write.id}: {story(write)}; state {write.state}"
            if write.state == "in_doubt" and write.id not in self._facts.quarantined:
                yield f"{write.id}: {story(write)}; state {write.state}, but not listed"

    def unresolved(self) -> Iterable[str]:
        """Yield 202 responses whose status URL does not tell the outcome in the end."""
        for write in self._facts.writes:
            if write.promised and write.state in {None, "accepted", _NO_MEMORY}:
                yield f"{write.id}: {story(write)}; state {write.state}"

    def stuck(self) -> Iterable[str]:
        """Yield writes whose clients lost patience."""
        for write in self._facts.writes:
            if any(one.outcome is Outcome.STUCK for one in write.tries):
                yield f"{write.id}: {story(write)}; {self._receptions[write.id]}"

    def dropped(self) -> Iterable[str]:
        """Yield writes whose connection the node closed without a response."""
        for write in self._facts.writes:
            for one in write.tries:
                if one.outcome is Outcome.DROPPED and not self._may_drop(write, one):
                    yield f"{write.id}: {story(write)}; {self._receptions[write.id]}"

    def _may_drop(self, write: Write, one: Try) -> bool:
        """Whether the connection may end without a response.

        HAProxy ends one that has had a response before if the guest ends its own. A connection may
        also end between two requests; then the guest gets nothing of the second one.
        """
        if self._facts.agent_was_away(one.sent_at, one.done_at):
            return True
        if any(low <= one.done_at and high >= one.sent_at for low, high in self._facts.guest_away):
            return True
        got = [found for found in self._receptions[write.id] if found.at >= one.sent_at]
        if one.reused and not any(found.at <= one.done_at for found in got):
            return True
        return any(found.via == "edge" and found.said_at is None for found in got)


_LOSES_RESPONSES = frozenset({"abrupt", "close", "old", "cut", "garbage", "endless", "huge"})
"""One side closes the connection then, so a response may be lost on the way."""


def acknowledged_at(write: Write) -> float | None:
    """Return when the client had the promise, or the guest's own response; None: never."""
    for one in write.tries:
        if one.outcome in {Outcome.GUEST, Outcome.ACCEPTED}:
            return one.done_at
    return None

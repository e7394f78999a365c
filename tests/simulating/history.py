"""The clients' and the guest's logs, and the verdict about both."""

from __future__ import annotations

import itertools

from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay.state import INFINITE
from tests.crashing.oplog import IDEMPOTENT, Read, Sent, judge
from tests.crashing.rules import Place, old_reads, overtaken
from tests.simulating.disk import LISTED, Disk
from tests.simulating.guest import Guest, Write
from tests.simulating.plan import SERVICES, Plan


class History:
    """The log of one seed."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.tokens = itertools.count(1)
        self.writes: dict[str, dict[str, Sent]] = {name: {} for name in SERVICES}
        self.pages: dict[str, Write] = {}
        self.reads: dict[str, list[Read]] = {name: [] for name in SERVICES}
        self.sent_at: dict[str, dict[int, list[float]]] = {name: {} for name in SERVICES}
        self.ended_at: dict[str, dict[int, float]] = {name: {} for name in SERVICES}
        self.faults: list[str] = []
        self.told: dict[str, list[tuple[int, Write]]] = {name: [] for name in SERVICES}
        self.responded: dict[str, list[tuple[int, Write]]] = {name: [] for name in SERVICES}
        self.soft: set[tuple[str, int]] = set()
        self.power_cut = False
        self.busy: set[str] = set()  # the guest still processed an earlier try
        self.resent: set[str] = set()  # by the operator
        self.doubted: set[str] = set()  # were in quarantine
        # → when the agent died while the guest had the write
        self.died_at: dict[str, dict[str, float]] = {name: {} for name in SERVICES}
        self.disk: Disk | None = None

    # --- what the agent tells

    def told_response(self, service: str, write: Write, position: int) -> None:
        """A client gets the guest's response."""
        self.responded[service].append((position, write))

    def told_accepted(self, service: str, position: int, write: Write, *, soft: bool) -> None:
        """A client gets 202. ``soft``: the database has not confirmed that it keeps this."""
        if soft:
            self.soft.add((service, position))
        self.told[service].append((position, write))

    def told_in_doubt(self, service: str, position: int, write: Write) -> None:
        """A client gets 502, as the operator decides: then the write is listed."""
        assert self.disk is not None
        self.told[service].append((position, write))
        row = self.disk.tables.rows.get((service, position))
        if row is None or row.state not in {*LISTED, S.DISCARDED}:
            self.faults.append(f"unlisted: {service}/{position} {write.id}")

    def left_in_flight(self, service: str, writes: list[str], now: float) -> None:
        """The agent has died; the guest may go on with these writes."""
        for write_id in writes:
            self.died_at[service].setdefault(write_id, now)

    # --- the verdict

    def judge(self, guests: dict[str, Guest], disk: Disk) -> list[str]:
        """Return the faults."""
        for name in SERVICES:
            self._judge(name, guests[name], disk)
        return self.faults

    def _judge(self, name: str, guest: Guest, disk: Disk) -> None:
        sent = self.writes[name]
        listed = {}
        for (service, position), row in disk.tables.rows.items():
            if service == name and row.state in LISTED:
                listed[row.write.id] = position
            if service == name and row.state is S.ACCEPTED:
                self._fault("never sent", name, f"{position} {row.write.id}")
        # A write that the guest refused with a 500 and applied at the next try has no order.
        exempt = self.resent | self.doubted | listed.keys() | guest.rejected
        for write_id in exempt & sent.keys():
            sent[write_id].acknowledged_at = None
        once = [w for w in guest.applied if w not in self.resent]
        verdict = judge(
            sent.values(), guest.received, once, set(listed) | self.resent | guest.rejected,
            honours_keys=guest.honours_keys,
        )  # fmt: skip
        for kind in ("lost", "doubled", "reordered", "refused_but_applied", "in_doubt_unlisted"):
            for write_id in getattr(verdict, kind):
                if kind != "doubled" or not self._harmless(write_id, name, guest, exempt):
                    self._fault(kind, name, write_id)
        self._judge_undone(name, guest)
        self._judge_positions(name, guest, exempt)
        self._judge_reads(name, guest)
        self._judge_told(name, guest, disk, listed)

    def _fault(self, kind: str, service: str, what: str) -> None:
        self.faults.append(f"{kind}: {service} {what}")

    def _harmless(self, write_id: str, name: str, guest: Guest, exempt: set[str]) -> bool:
        """Whether the second application cannot be observed.

        Writes to its page between were applied again behind it, or were direct and concurrent with
        it. The latter were in flight at the guest's pause, so their order is open. After a
        power cut, several writes are applied again in their order.
        """
        sent = self.writes[name]
        write = sent[write_id]
        if write.method not in IDEMPOTENT or guest.honours_keys:
            return False
        journalled = dict(guest.log)
        sends = self.sent_at[name].get(journalled.get(write_id, 0), [0.0])
        first = guest.applied.index(write_id)
        last = len(guest.applied) - 1 - guest.applied[::-1].index(write_id)
        between = [sent[other] for other in guest.applied[first:last] if other != write_id]
        latest = {other: number for number, other in enumerate(guest.applied)}
        return all(
            latest[other.id] > last
            or (self.power_cut and guest.applied.index(other.id) < first)
            or (other.id not in journalled and other.sent_at < sends[0])
            for other in between
            if other.url == write.url and other.id not in exempt
        )

    def _judge_undone(self, name: str, guest: Guest) -> None:
        """No write is applied again behind a POST that had to wait for it.

        The POST may have changed any page. After a power cut, writes are applied again in order.
        """
        if self.power_cut or guest.honours_keys:
            return
        last = {write_id: number for number, write_id in enumerate(guest.applied)}
        journalled = dict(guest.log)
        for number, write_id in enumerate(guest.applied):
            post = (write_id, journalled.get(write_id, 0))
            if self.writes[name][write_id].method in IDEMPOTENT or not post[1]:
                continue
            for other in guest.applied[:number]:
                place = (other, journalled.get(other, 0))
                again = last[other] > number and other not in self.resent
                if again and 0 < place[1] < post[1] and not self._may_pass(name, post, place):
                    self._fault("undone", name, f"{write_id} by {other}")

    def _judge_positions(self, name: str, guest: Guest, exempt: set[str]) -> None:
        """Journalled writes are first applied in the order of their positions.

        While one is in progress for long, or with ``parallel``, writes of other clients and pages
        may pass. So may those that are in doubt; but after a crash, the agent sends nothing until
        the guest is done with the writes in flight.
        """
        left = exempt.intersection(self.died_at[name]) - self.resent - guest.rejected
        log = [
            (write_id, position)
            for write_id, position in guest.log
            if (write_id not in exempt or write_id in left) and write_id not in self.busy
        ]

        def may_pass(first: Place, second: Place) -> bool:
            if first[0] in left:
                return True
            if second[0] in left:
                return self.sent_at[name][first[1]][0] < self.died_at[name][second[0]]
            return self._may_pass(name, first, second)

        for what in overtaken(log, may_pass):
            self._fault("overtaken", name, what)

    def _may_pass(self, name: str, first: Place, second: Place) -> bool:
        other, write, later = self.pages[first[0]], self.pages[second[0]], first[1]
        limits, sent_at, ended_at = self._plan.limits[name], self.sent_at[name], self.ended_at[name]
        tied = write.page == other.page and not {other.method, write.method}.isdisjoint(IDEMPOTENT)
        if other.client == write.client or tied:
            return False
        if limits.parallel > 1:
            return True
        return any(
            sends[0] <= at - limits.slow / 2 and ended_at.get(p, INFINITE) > at
            for at in sent_at[later]
            for p, sends in sent_at.items()
            if p < later
        )

    def _judge_reads(self, name: str, guest: Guest) -> None:
        """A read shows each write that was acknowledged before it, or a later one."""
        sent = self.writes[name].values()
        for what in old_reads(self.reads[name], sent, guest.applied, set()):
            self._fault("old read", name, what)

    def _judge_told(self, name: str, guest: Guest, disk: Disk, listed: dict[str, int]) -> None:
        done = set(guest.applied)
        for position, write in self.told[name]:
            row = disk.tables.rows.get((name, position))
            if row is None and (name, position) not in self.soft:
                self._fault("outcome not kept", name, f"{position} {write.id}")
            elif row is None:
                continue
            elif row.write.id != write.id:
                self._fault("another's outcome", name, f"{position} {write.id}")
            elif write.id not in done | guest.rejected and row.state not in {
                *LISTED,
                S.DISCARDED,
                S.RESPONDED,
            }:
                self._fault("forgotten", name, f"{position} {write.id}")
        for position, write in self.responded[name]:
            if listed.get(write.id) == position:
                self._fault("told, then in doubt", name, f"{position} {write.id}")

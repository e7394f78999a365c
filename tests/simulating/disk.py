"""The journal's database and progress log, and the thread that commits.

A process that dies loses nothing that was written. A power cut loses what no fsync confirmed, and
the end of the progress log.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from nova_cachemig.model.write import WriteState as S
from tests.simulating.loop import Loop
from tests.simulating.plan import Plan

LISTED = frozenset({S.IN_DOUBT, S.DAMAGED, S.RESEND})


class Row:
    """One write in the database."""

    __slots__ = ("early", "keep", "key", "late", "response", "state", "write")

    def __init__(self, write: Any, late: bool, early: bool, keep: bool) -> None:
        self.write = write
        self.late = late
        self.early = early
        self.keep = keep or early
        self.state = S.ACCEPTED
        self.response: Any = None


class Tables:
    """The content of the database."""

    __slots__ = ("keys", "limits", "rows")

    def __init__(self) -> None:
        self.rows: dict[tuple[str, int], Row] = {}
        self.limits: dict[str, int] = {}
        self.keys: dict[tuple[str, str], int] = {}

    def copy(self) -> Tables:
        """Return a copy that later steps do not change."""
        other = Tables()
        other.rows = {name: copy.copy(row) for name, row in self.rows.items()}
        other.limits, other.keys = dict(self.limits), dict(self.keys)
        return other


class Step:
    """A change of the tables; ``done`` receives its outcome. Performing it twice does no harm."""

    __slots__ = ("args", "done", "kind", "service", "since")

    def __init__(self, kind: str, service: str, done: Callable[[str], None], *args: Any) -> None:
        self.kind = kind
        self.service = service
        self.done = done
        self.args = args
        self.since = 0.0

    def perform(self, tables: Tables) -> None:
        """Change the tables."""
        getattr(self, f"_{self.kind}")(tables, *self.args)

    def _append(self, tables: Tables, position: int, row: Row, limit: int | None) -> None:
        if (self.service, position) not in tables.rows:
            tables.rows[self.service, position] = copy.copy(row)
            if row.write.key is not None:
                tables.keys[self.service, row.write.key] = position
        if limit is not None:
            self._limit(tables, limit)

    def _remove(self, tables: Tables, position: int, row: Row, limit: int | None) -> None:
        tables.rows.pop((self.service, position), None)
        if row.write.key is not None:
            tables.keys.pop((self.service, row.write.key), None)

    def _move(self, tables: Tables, old: int, position: int, row: Row) -> None:
        before = tables.rows.get((self.service, old))
        if before is not None and before.state is S.RESEND:
            before.state = S.DISCARDED
            self._append(tables, position, row, None)

    def _limit(self, tables: Tables, limit: int) -> None:
        tables.limits[self.service] = max(limit, tables.limits.get(self.service, 0))

    def _record(self, tables: Tables, position: int, response: Any, keep: bool) -> None:
        row = tables.rows.get((self.service, position))
        if row is not None and keep:
            row.state, row.response = S.RESPONDED, response
        elif row is not None:
            del tables.rows[self.service, position]

    def _state(self, tables: Tables, position: int, state: S) -> None:
        row = tables.rows.get((self.service, position))
        if row is not None and row.state is S.ACCEPTED:
            row.state = state

    def _keep(self, tables: Tables, position: int) -> None:
        row = tables.rows.get((self.service, position))
        if row is not None:
            row.keep = True

    def _abandon(self, tables: Tables, through: int) -> None:
        for (service, position), row in tables.rows.items():
            if service == self.service and position <= through and row.state is S.ACCEPTED:
                row.state = S.IN_DOUBT


class Disk:
    """The storage, which survives the agent."""

    def __init__(self, loop: Loop, plan: Plan) -> None:
        self._loop = loop
        self._plan = plan
        self.tables = Tables()
        self._durable: Tables | None = None  # where it differs: an fsync has failed
        self.log: dict[tuple[str, int], Any] = {}  # → the response, None: sent only
        self.log_complete = True
        self.ended: dict[str, int] = {}  # service → an entry of the log until the next send
        self.down_until = 0.0
        self.faults = True

    @property
    def down(self) -> bool:
        """Whether the database is unreachable."""
        return self._loop.now < self.down_until

    def perform(self, steps: list[Step], *, synced: bool = True) -> None:
        """Perform a transaction. Without ``synced``, the next power cut may undo it."""
        if not synced and self._durable is None:
            self._durable = self.tables.copy()
        for step in steps:
            step.perform(self.tables)
        if synced:
            self._durable = None

    def power_cut(self) -> None:
        """Lose what may be lost."""
        if self._durable is not None:
            self.tables, self._durable = self._durable, None
        entries = list(self.log.items())
        self.log = dict(entries[: self._loop.rng.randrange(len(entries) + 1)])
        self.log_complete = False


class Committer:
    """The committing thread of one agent. ``alive`` says whether the agent still lives."""

    def __init__(self, loop: Loop, plan: Plan, disk: Disk, alive: Callable[[], bool]) -> None:
        self._loop = loop
        self._plan = plan
        self._disk = disk
        self._alive = alive
        self._steps: list[Step] = []
        self._again: list[Step] = []  # tried before, before all others
        self._unknown = False  # whether those may have been performed
        self._busy = False

    def submit(self, step: Step) -> None:
        """Perform the step with the next commit."""
        step.since = self._loop.now
        self._steps.append(step)
        if not self._busy:
            self._busy = True
            self._loop.later(0.0, self._begin)

    def _begin(self) -> None:
        if not self._alive():
            return
        batch = self._again + self._steps
        self._again, self._steps = [], []
        if not batch:
            self._busy = False
            return
        latency = 0.0005 + 0.002 * self._loop.random()
        self._loop.later(latency, self._commit, batch)

    def _commit(self, batch: list[Step]) -> None:
        loop, disk = self._loop, self._disk
        if not self._alive():
            if not disk.down and loop.random() < 0.5:  # it had begun
                disk.perform(batch)
            return
        if disk.down:
            self._failed(batch)
        elif disk.faults and loop.random() < self._plan.db_faults:
            self._fault(batch)
        else:
            disk.perform(batch)
            self._unknown = False
            loop.later(0.0002, self._report, [(step, "done") for step in batch])

    def _fault(self, batch: list[Step]) -> None:
        kind = self._loop.rng.choice(("refused", "unknown", "unknown", "down", "fsync"))
        self._loop.note(
            f"disk: COMMIT of {[(s.kind, s.service, s.args[0]) for s in batch]}: {kind}"
        )
        if kind == "refused":
            self._failed(batch)
            return
        if kind == "fsync":
            self._disk.perform(batch, synced=False)
        elif self._loop.random() < 0.5:
            self._disk.perform(batch)
        if kind == "down":
            self._disk.down_until = self._loop.now + 0.05 + self._loop.random()
        self.on_unknown(batch)

    def on_unknown(self, batch: list[Step]) -> None:
        """The outcome of a COMMIT is unknown: look again, whatever happens."""
        self._unknown = True
        self._failed(batch)

    def _failed(self, batch: list[Step]) -> None:
        """Try again soon; do not let clients wait for ever, and say no only if it is certain."""
        results, keep, loop_now = [], [], self._loop.now
        for step in batch:
            waited = self._loop.now - step.since > 0.4
            if step.kind != "append":
                keep.append(step)
                rejected = step.kind != "record" or not self._plan.power
                if loop_now - step.since > 0.2 and step.kind != "move" and rejected:
                    keep.pop()
                    results.append((step, "failed"))
            elif (not self._unknown and not self._disk.down) or (waited and not self._unknown):
                results.append((step, "refused"))
            elif waited:
                results.append((step, "unknown"))
                self._loop.later(0.5 * self._loop.random(), self._look_again, step)
            else:
                keep.append(step)
        self._again = keep
        if results:
            self._report(results, more=False)
        self._loop.later(0.02, self._begin)

    def _look_again(self, step: Step) -> None:
        """An acceptance has been unknown for long: it is confirmed, or reverted."""
        if not self._alive():
            return
        if self._disk.down:
            self._loop.later(0.1, self._look_again, step)
            return
        absent = self._loop.random() < 0.4
        if absent:
            step.kind = "remove"
        self._disk.perform([step])
        step.done("absent" if absent else "present")

    def _report(self, results: list[tuple[Step, str]], more: bool = True) -> None:
        for step, outcome in results:
            if not self._alive():
                return
            step.done(outcome)
        if more:
            self._begin()

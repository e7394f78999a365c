"""The agent's actions on its journal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry
from tests.simulating.disk import Row, Step
from tests.simulating.entries import entry_of
from tests.simulating.performing import Performing


class JournalActions(Performing):
    """The simulated database and progress log of one service."""

    def _submit(self, kind: str, done: Callable[[str], None], *args: Any) -> None:
        self._agent.committer.submit(Step(kind, self.name, done, *args))

    def _row(self, entry: Entry) -> Row:
        status_url = self._agent.plan.accept[self.name] or entry.prefers or entry.early
        return Row(entry.write, entry.late, status_url, entry.keep)

    def _Append(self, a: act.Append) -> None:
        done = partial(self._appended, a.entry, a.send_limit)
        self._submit("append", done, a.entry.position, self._row(a.entry), a.send_limit)

    def _appended(self, entry: Entry, limit: int | None, outcome: str) -> None:
        machine, now, position = self.machine, self._loop.now, entry.position
        if outcome == "done":
            self.perform(machine.appended(position, now, limit))
        elif outcome == "refused":
            self.perform(machine.refused(position, "the database failed", now))
        elif outcome == "unknown":
            self.perform(machine.unknown(position))
        else:
            self.perform(machine.known(position, outcome == "present", now))
        self._keys.discard(entry.write.key or "")

    def _Move(self, a: act.Move) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            now = self._loop.now
            if outcome == "done":
                self.perform(self.machine.appended(position, now))
            else:
                self.perform(self.machine.move_failed(position, now))

        self._submit("move", done, a.old, position, self._row(a.entry))

    def _RaiseLimit(self, a: act.RaiseLimit) -> None:
        def done(outcome: str) -> None:
            now, machine = self._loop.now, self.machine
            self.perform(
                machine.limit_raised(a.limit, now)
                if outcome == "done"
                else machine.limit_failed(now)
            )

        self._submit("limit", done, a.limit)

    def _Record(self, a: act.Record) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            if outcome == "done":
                self._disk.log.pop((self.name, position), None)
                self.perform(self.machine.recorded(position, self._loop.now))
            else:
                self.perform(self.machine.record_failed(position, self._loop.now))

        self._submit("record", done, position, a.response, a.keep)

    def _Quarantine(self, a: act.Quarantine) -> None:
        position = a.entry.position

        def done(outcome: str) -> None:
            if outcome == "done":
                self._disk.log.pop((self.name, position), None)
                self.perform(self.machine.quarantined(position, self._loop.now))
            else:
                self.perform(self.machine.quarantine_failed(position, self._loop.now))

        self._loop.note(f"{self.name}/{position} {a.entry.write.id}: quarantined: {a.why}")
        self._submit("state", done, position, a.state)

    def _Keep(self, a: act.Keep) -> None:
        def done(outcome: str) -> None:
            if outcome == "done":
                self.perform(self.machine.kept(a.position))

        self._submit("keep", done, a.position)

    def _Abandon(self, a: act.Abandon) -> None:
        def done(outcome: str) -> None:
            now = self._loop.now
            if outcome == "done":
                self.perform(self.machine.abandoned(now))
            else:
                self.perform(self.machine.abandon_failed(now))

        self._loop.note(f"{self.name}: abandoned through {a.through}")
        self._submit("abandon", done, a.through)

    def _Load(self, a: act.Load) -> None:
        self._loop.later(0.0005, self._read, a)

    def _read(self, a: act.Load) -> None:
        if not self._agent.alive:
            return
        if self._disk.down:
            self.perform(self.machine.load_failed(self._loop.now))
            return
        rows = self._disk.tables.rows
        positions = sorted(
            position
            for (service, position), row in rows.items()
            if service == self.name and position > a.after and row.state is S.ACCEPTED
        )
        entries = []
        for position in positions[: a.count]:
            row = rows[self.name, position]
            entry = entry_of(self._agent.plan, self.name, row.write, row.early)
            entry.position, entry.late, entry.keep = position, row.late, row.keep
            entries.append(entry)
        self._loop.later(0.0003, self._loaded, entries)

    def _loaded(self, entries: list[Entry]) -> None:
        self.event("loaded", entries, self._loop.now)

    def _CheckBody(self, a: act.CheckBody) -> None:
        self._loop.later(
            0.0005, self.event, "checked", a.entry.position, True, self._loop.now + 0.0005
        )

    def _LogResponse(self, a: act.LogResponse) -> None:
        self._disk.log[self.name, a.entry.position] = a.response
        self._agent.history.ended_at[self.name][a.entry.position] = self._loop.now

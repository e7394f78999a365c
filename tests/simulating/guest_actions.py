"""The agent's actions on the guest."""

from __future__ import annotations

from functools import partial

from nova_cachemig.replay import actions as act
from tests.simulating.guest import LATENCY, Answer, Connection
from tests.simulating.performing import Performing


class GuestActions(Performing):
    """The connections to the guest."""

    def in_flight(self) -> list[str]:
        """Return the ids of the writes that the guest may be processing."""
        blocking = self.machine.state.blocking.values()
        return [e.write.id for e in blocking if e.connection and e.connection.id in self.pipes]

    def _Connect(self, a: act.Connect) -> None:
        self._connecting += 1
        self._try_connect(self._connecting, a.target)

    def _StopConnecting(self, _a: act.StopConnecting) -> None:
        self._connecting += 1

    def _try_connect(self, attempt: int, target: str) -> None:
        if not self._agent.alive or attempt != self._connecting:
            return
        reachable = not self.guest.paused and self.guest.location == target
        if not reachable:
            self._loop.later(0.02, self._try_connect, attempt, target)
            return
        name = self._agent.token()
        self._loop.later(2 * LATENCY, self._made, attempt, name, target)

    def _made(self, attempt: int, name: int, target: str) -> None:
        if self._agent.alive and attempt == self._connecting:
            self.pipes[name] = Connection(self.guest, partial(self._report, name))
            self.perform(self.machine.connected(name, target, self._loop.now))

    def _report(self, name: int, kind: str, answer: Answer | None) -> None:
        if not self._agent.alive or name not in self.pipes:
            return
        machine, now = self.machine, self._loop.now
        if answer is not None and answer.status == 409:
            self._agent.history.busy.add(answer.id)
        if kind == "byte":
            machine.heard(name, now)
        elif kind == "response":
            self.perform(machine.response(name, answer, now))
        elif kind == "last":
            del self.pipes[name]
            self.perform(machine.response(name, answer, now, keep_alive=False))
            self.perform(machine.lost(name, now, "Connection: close", processed=False))
        elif kind == "garbage":
            del self.pipes[name]
            self._garbage(name, "it is not HTTP")
        else:
            del self.pipes[name]
            self.perform(machine.lost(name, now, "the connection broke"))

    def _garbage(self, name: int, why: str) -> None:
        connection = self.machine.state.connections.get(name)
        write_id = connection.in_flight[0].write.id if connection and connection.in_flight else ""
        answer = Answer(502, write_id)
        self.perform(self.machine.bad_response(name, answer, self._loop.now, why))

    def _Close(self, a: act.Close) -> None:
        pipe = self.pipes.pop(a.connection, None)
        if pipe is None:
            return
        if not a.report:
            pipe.break_off()
        elif pipe.responding:
            pipe.break_off()
            self._garbage(a.connection, a.why)
        else:
            pipe.break_off()
            self.perform(self.machine.lost(a.connection, self._loop.now, a.why))

    def _Send(self, a: act.Send) -> None:
        entry, position = a.entry, a.entry.position
        plan = self._agent.plan
        if entry.connection is None or entry.connection.id != a.connection:
            return  # one before it was not sent
        if self._disk.faults and plan.log_faults and self._loop.random() < plan.log_faults:
            self.perform(self.machine.not_logged(a.connection, position, self._loop.now))
            return
        self._disk.log.pop((self.name, self._disk.ended.pop(self.name, 0)), None)
        self._disk.log[self.name, position] = None
        self.sent_at.setdefault(position, []).append(self._loop.now)
        if self._loop.lines is not None:
            self._loop.note(f"{self.name}/{position} {entry.write.id}: sent on {a.connection}")
        pipe = self.pipes.get(a.connection)
        if pipe is None:
            return  # the machine will know soon
        pipe.send(entry.write, position)
        if self._agent.faults and plan.cuts and self._loop.random() < plan.cuts:
            pipe.mute |= self._loop.random() < 0.5  # for good: TCP skips no response
            self._loop.later(0.01 * self._loop.random(), pipe.break_off)

"""One seed: everything together, with migrations, crashes and outages."""

from __future__ import annotations

import dataclasses

from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay.state import Phase
from tests.simulating.agent import Agent, Service
from tests.simulating.client import Client
from tests.simulating.disk import Disk
from tests.simulating.edge import Edge, Way
from tests.simulating.entries import entry_of
from tests.simulating.guest import Guest
from tests.simulating.history import History
from tests.simulating.loop import Loop
from tests.simulating.plan import SERVICES, plan

END = 60.0  # seconds for the workload
REST = 60.0  # seconds for everything to end after the last fault


@dataclasses.dataclass(slots=True)
class Result:
    """The outcome of one seed."""

    seed: int
    writes: int
    faults: list[str]
    lines: list[str]


class World:
    """Builds it and runs it."""

    def __init__(self, seed: int, *, trace: bool = False) -> None:
        self.seed = seed
        self.plan = plan(seed)
        self.loop = Loop(seed, trace=trace)
        self.disk = Disk(self.loop, self.plan)
        self.history = History(self.plan)
        self.history.disk = self.disk
        self.guests = {name: Guest(self.loop, self.plan, name) for name in SERVICES}
        self.edges = {name: Edge(self.loop, guest) for name, guest in self.guests.items()}
        self.clients = [
            Client(self.loop, self.plan, self.history, self.edges[name], f"c{n}", name)
            for n in range(self.plan.clients)
            for name in (SERVICES[n % 2],)
        ]
        self.agent: Agent | None = None
        self.faults = True
        self.migrations = {name: Migration(self, name) for name in SERVICES}

    def run(self) -> Result:
        """Run the workload, then let everything end, then judge."""
        loop = self.loop
        self._begin_life()
        for client in self.clients:
            client.go_on()
        for migration in self.migrations.values():
            migration.start()
        loop.later(0.3, self._decide)
        if self.plan.db_down:
            loop.later(loop.rng.expovariate(1 / self.plan.db_down), self._outage)
        while loop.now < END and not all(client.done for client in self.clients):
            loop.run(loop.now + 0.25)
        self._end_faults()
        self._rest()
        loop.run(loop.now + 3.0)
        self._rest()  # the operator's last decisions may have come since
        if not self._is_over():
            self.history.faults.append(f"it does not end: {self._open_ends()}")
        faults = self.history.judge(self.guests, self.disk)
        writes = sum(len(writes) for writes in self.history.writes.values())
        return Result(self.seed, writes, faults, loop.lines or [])

    def _rest(self) -> None:
        deadline = self.loop.now + REST
        while self.loop.now < deadline and not self._is_over():
            self.loop.run(self.loop.now + 0.1)

    def _end_faults(self) -> None:
        self.faults = self.disk.faults = False
        self.disk.down_until = 0.0
        self.loop.note("no more faults")
        for guest in self.guests.values():
            guest.faults = False
        for client in self.clients:
            client.faults = False
        if self.agent is not None:
            self.agent.faults, self.agent.steps_left = False, 0
        for migration in self.migrations.values():
            migration.finish()

    def _is_over(self) -> bool:
        return (
            self.agent is not None
            and all(client.done for client in self.clients)
            and all(migration.over for migration in self.migrations.values())
        )

    def _open_ends(self) -> str:
        found = [f"client {client.name}" for client in self.clients if not client.done]
        for name, migration in self.migrations.items():
            if not migration.over:
                found.append(f"{name} {migration.step}")
                if self.agent is not None:
                    s = self.agent.services[name].machine.state
                    found.append(f"{s.phase.name}, {s.waiting} wait, {list(s.blocking)} block")
        return ", ".join(found)

    # --- the agent's lives

    def _begin_life(self) -> None:
        loop = self.loop
        agent = Agent(loop, self.plan, self.disk, self.edges, self.guests, self.history)
        self.agent = agent
        agent.on_death = self._died
        agent.faults = self.faults
        if self.faults and self.plan.crashes:
            mean = loop.rng.choice(self.plan.lives)
            agent.steps_left = int(loop.rng.expovariate(1 / mean)) + 1
        loop.note("agent: starts")
        for name, service in agent.services.items():
            edge = self.edges[name]
            if not edge.up:
                edge.up = True
            edge.replace(service.held_on_disk())
            edge.intake = service.take
            self.migrations[name].adopt(service)

    def _died(self) -> None:
        loop = self.loop
        self.agent = None
        power = loop.random() < self.plan.power
        for name, edge in self.edges.items():
            edge.intake = None
            self.migrations[name].service = None
            if power:
                edge.lose()
        if power:
            loop.note("power cut")
            self.disk.power_cut()
            self.history.power_cut = True
        loop.later(0.01 + 0.2 * loop.random() ** 2, self._begin_life)

    # --- others

    def begin_outage(self) -> None:
        """The database is away for a while; often the agent dies meanwhile."""
        length = 0.2 + self.loop.random()
        self.disk.down_until = self.loop.now + length
        if self.plan.crashes and self.loop.random() < 0.7:
            self.loop.later(length * (0.4 + 0.6 * self.loop.random()), self._kill)

    def _outage(self) -> None:
        if self.faults:
            self.begin_outage()
            self.loop.later(self.loop.rng.expovariate(1 / self.plan.db_down), self._outage)

    def _kill(self) -> None:
        if self.faults and self.agent is not None:
            self.agent.die()

    def _decide(self) -> None:
        """The operator has some quarantined writes sent again; the agent looks for such."""
        if self.faults:
            self.loop.later(0.3, self._decide)
        if self.disk.down:
            return
        for (name, position), row in list(self.disk.tables.rows.items()):
            if row.state is S.IN_DOUBT and self.loop.random() < self.plan.operator and self.faults:
                row.state = S.RESEND
                self.history.doubted.add(row.write.id)
                self.history.resent.add(row.write.id)
            service = self.migrations[name].service
            if row.state is S.RESEND and service is not None and service.opened:
                state = service.machine.state
                if position not in state.moving.values() and service.name == name:
                    entry = entry_of(self.plan, name, row.write, row.early)
                    entry.keep = row.keep
                    token = service.new_token()
                    service.perform(service.machine.resend(token, position, entry))


class Migration:
    """The migrations of one service's guest, and the steps of the agent's manager."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self._loop = world.loop
        self._guest = world.guests[name]
        self._edge = world.edges[name]
        self._name = name
        self.service: Service | None = None
        self.step = "armed"
        self._number = 0  # of the current step; timers of earlier ones are void
        self._finishing = False

    @property
    def over(self) -> bool:
        """Whether nothing is in progress at the end."""
        state = None if self.service is None else self.service.machine.state
        return (
            self._finishing
            and self.step == "armed"
            and state is not None
            and not state.waiting
            and not state.blocking
            and not state.recording
            and not state.quarantining
        )

    def start(self) -> None:
        """Migrate again and again."""
        self._edge.set(Way.ARMED)
        self._again()

    def _again(self) -> None:
        if not self._finishing:
            rest = self._world.plan.rest * self._loop.random() ** 2
            self._loop.later(0.005 + rest, self._pause)

    def _pause(self) -> None:
        if self._finishing or self._guest.paused:
            return
        self._loop.note(f"{self._name}: the guest pauses")
        self._guest.pause()
        self._loop.later(0.02 * self._loop.random(), self._shield)
        self._loop.later(0.01 + self._world.plan.pause * self._loop.random() ** 2, self._resume)

    def _resume(self) -> None:
        if not self._guest.paused:
            return
        where = self._loop.rng.choice(("source", "destination"))
        self._loop.note(f"{self._name}: the guest resumes at the {where}")
        self._guest.resume(where)
        often = self._world.plan.down_at_return
        if often and self._world.faults and self._loop.random() < often:
            self._world.begin_outage()

    def adopt(self, service: Service) -> None:
        """An agent has started: it shields what an earlier one left."""
        self.service = service
        service.on_caught_up, service.on_release = self._caught_up, self._released
        self._next("armed")
        if self._edge.way in {Way.PASS, Way.ARMED} and not service.machine.state.waiting:
            return
        self._shield()

    def _next(self, step: str) -> int:
        self.step = step
        self._number += 1
        return self._number

    # --- the manager

    def _shield(self) -> None:
        if self.service is None:
            return
        number = self._next("shielded")
        self._loop.later(0.01, self._probe, number)
        self.service.opened = True
        self.service.perform(self.service.machine.shield(self._loop.now))
        self._edge.set(Way.SHIELDED)

    def _probe(self, number: int) -> None:
        if number == self._number and self.step == "shielded":
            self._loop.later(0.01, self._probe, number)
            self._reachable()

    def _reachable(self) -> None:
        if self.service is None or self.step != "shielded" or self._guest.paused:
            return
        number = self._next("replaying")
        self._edge.set(Way.REPLAY)
        machine = self.service.machine
        self._loop.later(self._world.plan.deadline, self._deadline, number)
        if self._loop.random() < self._world.plan.pauses_again:
            self._loop.later(0.1 * self._loop.random(), self._pause)
        self.service.perform(machine.replay(self._guest.location, self._loop.now))

    def _caught_up(self) -> None:
        if self.service is None or self.step != "replaying":
            return
        self.step = "draining"
        self._edge.set(Way.DRAIN)
        self._loop.later(0.002 * self._loop.random(), self._release, self._number)

    def _release(self, number: int) -> None:
        if self.service is not None and number == self._number and self.step == "draining":
            patience = self._world.plan.patience
            self.service.perform(self.service.machine.release(self._loop.now, patience))

    def _released(self, done: bool) -> None:
        if done:
            self._next("armed")
            self._edge.set(Way.ARMED)
            self._again()
        elif self.step == "draining":
            self.step = "replaying"
            self._edge.set(Way.REPLAY)

    def _deadline(self, number: int) -> None:
        service = self.service
        if service is None or number != self._number or self.step == "armed":
            return
        if service.machine.state.phase is not Phase.ARMED:
            self.step = "abandoning"
            self._edge.set(Way.DRAIN)
            service.perform(service.machine.abandon())

    def finish(self) -> None:
        """No more migrations: end the current one."""
        self._finishing = True
        if self._guest.paused:
            self._resume()

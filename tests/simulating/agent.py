"""The agent: from the recovery of its journal to its death."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nova_cachemig.model.write import WriteState as S
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.recovery import Fate, fate
from nova_cachemig.replay.state import State
from tests.simulating.client_actions import ClientActions
from tests.simulating.disk import Committer, Disk, Step
from tests.simulating.edge import Edge
from tests.simulating.entries import entry_of
from tests.simulating.guest import Guest
from tests.simulating.guest_actions import GuestActions
from tests.simulating.journal_actions import JournalActions
from tests.simulating.loop import Loop
from tests.simulating.plan import Plan

RESUME_DELAY = 1.0  # seconds; longer than the guest's GRACE


class Service(ClientActions, JournalActions, GuestActions):
    """The agent's part for one service: one machine."""

    def _CaughtUp(self, _a: act.CaughtUp) -> None:
        self.on_caught_up()

    def _Released(self, _a: act.Released) -> None:
        self.on_release(True)

    def _NotReleased(self, _a: act.NotReleased) -> None:
        self.on_release(False)


class Agent:
    """One life of the agent, from its recovery to its death."""

    def __init__(
        self, loop: Loop, plan: Plan, disk: Disk, edges: dict[str, Edge], guests: dict[str, Guest],
        history: Any,
    ) -> None:  # fmt: skip
        self.loop = loop
        self.plan = plan
        self.disk = disk
        self.history = history
        self.alive = True
        self.faults = True
        self.steps_left = 0  # actions until it dies; 0: not so
        self.on_death: Callable[[], None] = lambda: None
        self.committer = Committer(loop, plan, disk, lambda: self.alive)
        self._tokens = history.tokens
        recovered = recover(plan, disk)
        self.services = {
            name: Service(self, name, state, edges[name], guests[name])
            for name, state in recovered.items()
        }

    def token(self) -> int:
        """Return a new name of a request or connection."""
        return next(self._tokens)

    def die(self) -> None:
        """Everything in memory is lost."""
        if self.alive:
            self.alive = False
            self.loop.note("agent: dies")
            for service in self.services.values():
                self.history.left_in_flight(service.name, service.in_flight(), self.loop.now)
                service.cut_clients()
            self.on_death()


def recover(plan: Plan, disk: Disk) -> dict[str, State]:
    """Sort what an earlier agent left, as the journal does when it opens."""
    ended = {name for name, response in disk.log.items() if response is None}
    resent: list[tuple[str, int]] = []
    complete, limits = disk.log_complete, disk.tables.limits
    for (service, position), row in list(disk.tables.rows.items()):
        if row.state is not S.ACCEPTED:
            continue
        entry = entry_of(plan, service, row.write, row.early)
        entry.late = row.late
        name = (service, position)
        decided = fate(
            resendable=entry.resendable,
            sent=name in disk.log,
            responded=disk.log.get(name) is not None,
            complete=complete,
            position=position,
            send_limit=limits.get(service, 0),
        )
        if decided is Fate.RESPONDED:
            Step("record", service, _ignore, position, disk.log[name], row.keep).perform(
                disk.tables
            )
        elif decided is Fate.IN_DOUBT:
            row.state = S.IN_DOUBT
            ended.add(name)
        if decided is Fate.RESENT:
            resent.append(name)
    disk.perform([])
    # A second crash must still find that these may be in progress. Of those that are not sent again
    # one of each service is enough, until the next send.
    disk.ended = dict(sorted(ended.difference(resent)))
    disk.log, disk.log_complete = dict.fromkeys([*resent, *disk.ended.items()]), True
    doubt = {service for service, _ in disk.log}
    if not complete:  # with those that an earlier crash has left
        doubt |= {service for service, limit in limits.items() if limit}
    through = {name: max((p for s, p in resent if s == name), default=0) for name in plan.limits}
    return {name: _state(plan, disk, name, name in doubt, through[name]) for name in plan.limits}


def _ignore(_outcome: str) -> None:
    return


def _state(plan: Plan, disk: Disk, name: str, doubt: bool, resent: int) -> State:
    tables = disk.tables
    used = [position for service, position in tables.rows if service == name]
    waiting = [p for p in used if tables.rows[name, p].state is S.ACCEPTED]
    limit = tables.limits.get(name, 0)
    following = max([limit, *used]) + 1
    newest = max(waiting, default=0)
    return State(
        plan.limits[name],
        next=following,
        send_limit=limit,
        serialized_through=following - 1,
        resume_delay=RESUME_DELAY if doubt else 0.0,
        newest=newest,
        resent_through=resent,
        on_disk=newest > 0,
        waiting=len(waiting),
        kept_idle=plan.kept_idle,
    )

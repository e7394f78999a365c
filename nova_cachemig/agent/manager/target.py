"""The part of a handover that concerns one target: the services on one TCP port of the guest."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Final

from nova_cachemig.agent.manager.components import Components
from nova_cachemig.agent.manager.performer import Performer
from nova_cachemig.agent.ports import ComponentError, EdgeCounts, WriteCounts
from nova_cachemig.handover import machine
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import Decision, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import Route, Target

_FLAPPING: Final = 3
"""Intervals of ``ask_nova_after`` after the deadline in which a guest may come and go."""


_RUNS: Final = frozenset(
    {
        EventKind.RESUMED,
        EventKind.SWITCHOVER_FAILED,
        EventKind.COMPLETED,
        EventKind.FAILED,
        EventKind.ROLLED_BACK,
    }
)
"""Events after which a silent guest is reachable soon."""


class TargetHandover:
    """One target with its own phase, probes, drain and deadline.

    A port on which nothing listens thus delays no service on another port. ``began`` is in loop
    time. ``post`` receives the events that actions lead to, ``note`` sentences for the record.
    """

    def __init__(
        self,
        components: Components,
        record: HandoverRecord,
        routes: tuple[Route, ...],
        began: float,
        post: Callable[[TargetHandover, Event], None],
        note: Callable[[TargetHandover, str], None],
    ) -> None:
        self._components = components
        self._note = note
        self.label = next((_label(route.target) for route in routes if route.target), "")
        self.performer = Performer(
            components,
            record.id,
            routes,
            began,
            lambda event: post(self, event),
            lambda sentence: note(self, sentence),
        )
        self.state = machine.Handover()
        self.finished = False
        self.edge, self.writes = EdgeCounts(), WriteCounts()
        self.effects: dict[str, dict[str, Any]] = {}
        self.counted = False
        # Loop times of the last event, of the last change of the phase, of the last deadline.
        self.heard = self._phase_since = self._deadline_at = asyncio.get_running_loop().time()

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self.state.phase

    def deadline_is_due(self, overdue: float) -> bool:
        """Whether to end the phase now. ``overdue``: seconds since the handover's deadline.

        Each phase gets some time. But a guest may come and go, and so do its phases.
        """
        now, patience = asyncio.get_running_loop().time(), self._components.timeouts.ask_nova_after
        if overdue <= 0 or now - self._deadline_at <= patience:
            return False
        return now - self._phase_since > patience or overdue > _FLAPPING * patience

    async def handle(self, event: Event) -> Decision | None:
        """Take one step and perform its actions.

        Raises UnknownEventError, and ComponentError if the journal cannot be opened.
        """
        self.heard = asyncio.get_running_loop().time()
        step = machine.step(self.state, event)
        if event.kind in _RUNS:
            self.performer.expect_return()
        if step.state.phase is not self.phase:
            self._phase_since = self.heard
        if event.kind is EventKind.DEADLINE:
            self._deadline_at = self.heard
        self.state = step.state
        if Action.FINISH in step.actions or event.kind is EventKind.RELEASE_DONE:
            await self.count()
        for action in step.actions:
            await self.performer.perform(action, step.state.phase)
        if Action.FINISH in step.actions:
            await self.finish()
        return step.decision

    async def finish(self) -> None:
        """End all tasks: the target takes no further part."""
        self.finished = True
        self.performer.warmed.set()
        await self.performer.stop()

    def begin_again(self) -> None:
        """Take part again, from the start."""
        self.state, self.finished, self.counted = machine.Handover(), False, False

    def abandon(self) -> None:
        """The outcome stays unknown, unless an event has reported it."""
        outcome = self.state.outcome or OutcomeKind.ABANDONED
        self.state = machine.Handover(self.phase, outcome=outcome)

    async def count(self) -> None:
        """Add the counters of the services since they left ``pass``, once."""
        if self.counted:
            return
        self.counted = True
        for name in self.performer.services:
            try:
                edge = await self._components.engine.counts(name)
                writes = await self._components.writes.counts(name)
            except ComponentError as exc:
                self._note(self, f"not counted: {exc}")
            else:
                self.edge = _sum_edge(self.edge, edge)
                self.writes = _sum_writes(self.writes, writes)
                self.effects[name] = self._effects(name)

    def _effects(self, service: str) -> dict[str, Any]:
        """Return the counts of the service's reads by rule and by reason, and of its warming."""
        warmer = self._components.warmer
        counts = self._components.engine.read_counts(service)
        counts.explain(lambda host, url: warmer.verdict(service, host, url))
        warmed = dataclasses.asdict(warmer.warm_counts(service))
        return {**counts.to_wire(), "warming": {k: v for k, v in warmed.items() if v}}


def by_target(routes: Iterable[Route]) -> list[tuple[Route, ...]]:
    """The routes of each target; routes without one belong to no group. At least one group."""
    groups: dict[Target, list[Route]] = {}
    for route in routes:
        if route.target is not None:
            groups.setdefault(route.target, []).append(route)
    return [tuple(group) for group in groups.values()] or [()]


def summary(targets: Iterable[TargetHandover]) -> tuple[dict[str, int], float]:
    """Counts of all targets by name, and the longest wait of a client in seconds."""
    edge, writes, warmed = EdgeCounts(), WriteCounts(), 0
    for target in targets:
        edge = _sum_edge(edge, target.edge)
        writes = _sum_writes(writes, target.writes)
        warmed += target.performer.pages
    counts = {
        "hits": edge.hits,
        "misses": edge.misses,
        "held": edge.held,
        "failed": edge.failed,
        "writes": writes.accepted,
        "replayed": writes.responded,
        "in_doubt": writes.in_doubt,
        "warmed": warmed,
    }
    return counts, max(edge.longest_wait, writes.longest_wait)


def _label(target: Target) -> str:
    address = f"[{target.address}]" if ":" in target.address else target.address
    return f"{address}:{target.port}"


def _sum_edge(a: EdgeCounts, b: EdgeCounts) -> EdgeCounts:
    return EdgeCounts(
        a.hits + b.hits,
        a.misses + b.misses,
        a.held + b.held,
        a.holding_now + b.holding_now,
        max(a.longest_wait, b.longest_wait),
        a.failed + b.failed,
    )


def _sum_writes(a: WriteCounts, b: WriteCounts) -> WriteCounts:
    return WriteCounts(
        a.accepted + b.accepted,
        a.waiting + b.waiting,
        a.in_flight + b.in_flight,
        a.in_doubt + b.in_doubt,
        a.responded + b.responded,
        max(a.longest_wait, b.longest_wait),
    )

"""One live handover: its queue of events, its record, its watchdog."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from oslo_log import log

from nova_cachemig.agent.manager.components import Components
from nova_cachemig.agent.manager.performer import Performer
from nova_cachemig.agent.ports import ComponentError, EdgeCounts, WriteCounts
from nova_cachemig.handover import machine
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import Route

LOG = log.getLogger(__name__)


class LiveHandover:
    """A handover from its first event until its outcome is on disk."""

    def __init__(
        self, components: Components, record: HandoverRecord, routes: tuple[Route, ...]
    ) -> None:
        self._components = components
        self._state = machine.Handover()
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._performer = Performer(
            components, record.id, routes, record.started, self.post, self._note
        )
        self.record = dataclasses.replace(record, services=self._performer.services)
        self._counted = False
        self._phase_since = 0.0  # loop time of the last change of the phase, or of the deadline

    @property
    def id(self) -> HandoverId:
        """Instance and request."""
        return self.record.id

    @property
    def phase(self) -> Phase:
        """The present phase."""
        return self._state.phase

    @property
    def warmed(self) -> asyncio.Event:
        """Set once warming has ended, also if it failed."""
        return self._performer.warmed

    def post(self, event: Event) -> None:
        """Queue an event. Events are handled in the order of arrival."""
        self._events.put_nowait(event)

    def may_be_of(self, begun: float) -> bool:
        """Whether a migration that Nova began at ``begun`` (UNIX seconds) may be this one.

        Only where Nova has not announced this one. Once the services are released, a migration that
        began after the pause is the next one.
        """
        if self.id.announced:
            return False
        return self.phase is not Phase.RELEASED or begun <= self.record.started

    async def announce(
        self, handover: HandoverId, source: str | None = None, destination: str | None = None
    ) -> None:
        """Take over Nova's request id, in memory and on disk; the handover continues."""
        former = self.id
        self.record = dataclasses.replace(
            self.record,
            id=handover,
            source=source or self.record.source,
            destination=destination or self.record.destination,
        )
        self._performer.handover = handover
        LOG.info("handover %s: Nova's request is %s", former, handover.request)
        self._note(f"Nova announced the migration: request {handover.request}")
        await self._save(replaces=former)

    async def run(self) -> None:
        """Handle events until the handover is finished."""
        try:
            finished = False
            while not finished:
                finished = await self._handle(await self._next_event())
        finally:
            self._performer.warmed.set()
            await self._performer.stop()

    async def abandon(self, why: str) -> None:
        """Record that the outcome stays unknown; the edge and the journal stay as they are."""
        self._state = dataclasses.replace(
            self._state, outcome=self._state.outcome or OutcomeKind.ABANDONED
        )
        await self._count()
        await self._remember(Decision(time.time(), self.phase, why), True)

    async def _next_event(self) -> Event:
        timeouts = self._components.timeouts
        while True:
            overdue = time.time() - self.record.started > timeouts.deadline
            if overdue and self._replays_too_long():
                # Events may go on: each failed release is one.
                return Event(EventKind.DEADLINE, time.time())
            try:
                async with asyncio.timeout(timeouts.ask_nova_after):
                    return await self._events.get()
            except TimeoutError:
                if time.time() - self.record.started > timeouts.deadline:
                    return Event(EventKind.DEADLINE, time.time())
                await self._performer.perform(Action.ASK_NOVA, self.phase)

    def _replays_too_long(self) -> bool:
        lasts = asyncio.get_running_loop().time() - self._phase_since
        return self.phase is Phase.REPLAYING and lasts > self._components.timeouts.ask_nova_after

    async def _handle(self, event: Event) -> bool:
        try:
            step = machine.step(self._state, event)
        except machine.UnknownEventError as exc:
            LOG.error("handover %s: %s", self.id, exc)
            self._note(f"ignored: {exc}")
            return False
        if step.state.phase is not self.phase or event.kind is EventKind.DEADLINE:
            self._phase_since = asyncio.get_running_loop().time()
        self._state = step.state
        if Action.FINISH in step.actions or event.kind is EventKind.RELEASE_DONE:
            await self._count()
        try:
            for action in step.actions:
                await self._performer.perform(action, step.state.phase)
        except ComponentError as exc:
            return await self._unprotected(exc)
        finished = Action.FINISH in step.actions
        await self._remember(step.decision, finished)
        return finished

    async def _unprotected(self, exc: ComponentError) -> bool:
        """The journal cannot be opened: the edge is unchanged, and Nova migrates without help."""
        decision = Decision(time.time(), Phase.RELEASED, f"not protected: {exc}")
        LOG.error("handover %s: %s", self.id, decision.sentence)
        self._state = machine.Handover(Phase.RELEASED, outcome=OutcomeKind.ABANDONED)
        await self._remember(decision, True)
        return True

    def _note(self, sentence: str) -> None:
        decision = Decision(time.time(), self.phase, sentence)
        self.record = dataclasses.replace(self.record, decisions=(*self.record.decisions, decision))

    async def _remember(self, decision: Decision | None, finished: bool) -> None:
        if decision is None and not finished:
            return
        if decision is not None:
            LOG.info("handover %s: %s: %s", self.id, decision.phase, decision.sentence)
            decisions = (*self.record.decisions, decision)
            self.record = dataclasses.replace(self.record, decisions=decisions)
        self.record = dataclasses.replace(
            self.record,
            phase=self.phase,
            ended=time.time() if finished else None,
            outcome=self._state.outcome if finished else None,
        )
        await self._save()

    async def _save(self, replaces: HandoverId | None = None) -> None:
        try:
            await self._components.store.save(self.record, replaces=replaces)
        except ComponentError as exc:
            LOG.error("handover %s: its record could not be saved: %s", self.id, exc)

    async def _count(self) -> None:
        if self._counted:
            return
        self._counted = True
        edge = EdgeCounts()
        writes = WriteCounts()
        for name in self.record.services:
            try:
                edge = _sum_edge(edge, await self._components.engine.counts(name))
                writes = _sum_writes(writes, await self._components.writes.counts(name))
            except ComponentError as exc:
                self._note(f"not counted: {exc}")
        counts = {
            "hits": edge.hits,
            "misses": edge.misses,
            "held": edge.held,
            "failed": edge.failed,
            "writes": writes.accepted,
            "replayed": writes.responded,
            "in_doubt": writes.in_doubt,
            "warmed": self._performer.pages,
        }
        longest = max(edge.longest_wait, writes.longest_wait)
        self.record = dataclasses.replace(self.record, counts=counts, longest_wait=longest)


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

"""One live handover: its queue of events, its record, its watchdog."""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Callable, Collection, Sequence

from oslo_log import log

from nova_cachemig.agent.manager.components import Components
from nova_cachemig.agent.manager.target import TargetHandover, by_target, summary
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.handover import machine
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import Route

LOG = log.getLogger(__name__)

_PRECEDENCE = (
    Phase.SHIELDED,
    Phase.ROLLING_BACK,
    Phase.REPLAYING,
    Phase.WARMING,
    Phase.ARMED,
    Phase.IDLE,
    Phase.RELEASED,
)
"""The phase of a handover is the first of these in which one of its targets is."""


class LiveHandover:
    """A handover from its first event until its outcome is on disk.

    Each target of the guest is handed over and released on its own. An event of the migration
    concerns all targets, an event of the prober or of the journal only its own.
    """

    def __init__(
        self,
        components: Components,
        record: HandoverRecord,
        routes: tuple[Route, ...],
        *,
        late: bool = False,
        is_served: Callable[[str], bool] = lambda _service: True,
    ) -> None:
        """``late``: the migration may have ended before, so any outcome that Nova knows counts.

        ``is_served``: whether the operator still wants this service for this instance.
        """
        self._is_served = is_served
        self.unprotected = False  # the journal could not be opened
        self._components = components
        # The record's times are of this host's clock, which may jump while the handover lasts.
        lasts = max(0.0, time.time() - record.started)
        self._began = asyncio.get_running_loop().time() - lasts
        self._events: asyncio.Queue[tuple[TargetHandover | None, Event]] = asyncio.Queue()
        self._targets = [
            TargetHandover(
                components,
                record,
                group,
                -math.inf if late else self._began,
                self._post_of,
                self._note,
            )
            for group in by_target(routes)
        ]
        names = tuple(name for one in self._targets for name in one.performer.services)
        self.record = dataclasses.replace(record, services=names)

    @property
    def id(self) -> HandoverId:
        """Instance and request."""
        return self.record.id

    @property
    def phase(self) -> Phase:
        """The phase of the target that is furthest from its release."""
        return min((target.phase for target in self._targets), key=_PRECEDENCE.index)

    def phases(self) -> dict[str, Phase]:
        """Service name → its present phase."""
        return {name: one.phase for one in self._targets for name in one.performer.services}

    @property
    def warmed(self) -> bool:
        """Whether warming has ended for all targets, also if it failed."""
        return all(target.performer.warmed.is_set() for target in self._targets)

    async def wait_warmed(self) -> None:
        """Return when :attr:`warmed`."""
        for target in self._targets:
            await target.performer.warmed.wait()

    def post(self, event: Event) -> None:
        """Queue an event of the migration. Events are handled in the order of arrival."""
        self._events.put_nowait((None, event))

    def post_to(self, services: Collection[str], event: Event) -> None:
        """Queue an event that concerns only the targets of these services."""
        for target in self._targets:
            if not target.finished and not set(services).isdisjoint(target.performer.services):
                self._events.put_nowait((target, event))

    def _post_of(self, target: TargetHandover, event: Event) -> None:
        self._events.put_nowait((target, event))

    async def ask_nova(self) -> None:
        """Ask Nova now; its response comes as an event."""
        for target in self._targets:
            await target.performer.perform(Action.ASK_NOVA, target.phase)

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
        for target in self._targets:
            target.performer.handover = handover
        LOG.info("handover %s: Nova's request is %s", former, handover.request)
        self._note(None, f"Nova announced the migration: request {handover.request}")
        await self._save(replaces=former)

    async def run(self) -> None:
        """Handle events until all targets are finished."""
        try:
            while self._unfinished():
                await self._handle(*await self._next_event())
        finally:
            for target in self._targets:
                await target.finish()

    async def abandon(self, why: str) -> None:
        """Record that the outcome stays unknown; the edge and the journal stay as they are."""
        for target in self._targets:
            target.abandon()
            await target.count()
        await self._remember([Decision(time.time(), self.phase, why)], ended=True)

    def _unfinished(self) -> list[TargetHandover]:
        return [target for target in self._targets if not target.finished]

    async def _next_event(self) -> tuple[TargetHandover | None, Event]:
        timeouts, loop = self._components.timeouts, asyncio.get_running_loop()
        while True:
            unfinished = self._unfinished()
            for target in unfinished:
                # Events may go on: each failed release is one.
                if target.deadline_is_due(loop.time() - self._began - timeouts.deadline):
                    return target, Event(EventKind.DEADLINE, time.time())
            quiet = min(unfinished, key=lambda target: target.heard)
            try:
                async with asyncio.timeout_at(quiet.heard + timeouts.ask_nova_after):
                    return await self._events.get()
            except TimeoutError:
                if loop.time() - self._began > timeouts.deadline:
                    return quiet, Event(EventKind.DEADLINE, time.time())
                if not any(self._is_served(name) for name in quiet.performer.services):
                    return quiet, Event(EventKind.REMOVED, time.time())
                quiet.heard = loop.time()
                await quiet.performer.perform(Action.ASK_NOVA, quiet.phase)

    async def _handle(self, only: TargetHandover | None, event: Event) -> None:
        concerned = self._targets if only is None else [only]
        decisions = [
            (target, decision)
            for target in concerned
            if (decision := await self._step(target, event)) is not None
        ]
        await self._remember(self._merged(decisions), ended=not self._unfinished())

    async def _step(self, target: TargetHandover, event: Event) -> Decision | None:
        if target.finished:
            if event.kind is not EventKind.PAUSED:
                return None
            # The guest is paused again, and a target that is not finished keeps this handover.
            target.begin_again()
            event = dataclasses.replace(event, kind=EventKind.UNANNOUNCED)
        try:
            return await target.handle(event)
        except machine.UnknownEventError as exc:
            LOG.error("handover %s: %s", self.id, exc)
            self._note(target, f"ignored: {exc}")
            return None
        except ComponentError as exc:
            return await self._unprotected(target, exc)

    async def _unprotected(self, target: TargetHandover, exc: ComponentError) -> Decision:
        """The journal cannot be opened: the edge is unchanged, and Nova migrates without help."""
        decision = Decision(time.time(), Phase.RELEASED, f"not protected: {exc}")
        LOG.error("handover %s: %s", self.id, decision.sentence)
        self.unprotected = True
        target.state = machine.Handover(Phase.RELEASED, outcome=OutcomeKind.ABANDONED)
        await target.finish()
        return decision

    def _merged(self, made: Sequence[tuple[TargetHandover, Decision]]) -> list[Decision]:
        """Each decision once if all targets made it, else once per target, with its address."""
        if len(made) == len(self._targets) and len({decision for _, decision in made}) == 1:
            return [made[0][1]]
        return [
            dataclasses.replace(decision, sentence=self._labelled(target, decision.sentence))
            for target, decision in made
        ]

    def _labelled(self, target: TargetHandover | None, sentence: str) -> str:
        if target is None or len(self._targets) == 1:
            return sentence
        return f"{target.label}: {sentence}"

    def _note(self, target: TargetHandover | None, sentence: str) -> None:
        phase = self.phase if target is None else target.phase
        decision = Decision(time.time(), phase, self._labelled(target, sentence))
        self.record = dataclasses.replace(self.record, decisions=(*self.record.decisions, decision))

    async def _remember(self, decisions: Sequence[Decision], *, ended: bool) -> None:
        if not decisions and not ended:
            return
        for decision in decisions:
            LOG.info("handover %s: %s: %s", self.id, decision.phase, decision.sentence)
        self.record = dataclasses.replace(
            self.record,
            decisions=(*self.record.decisions, *decisions),
            phase=self.phase,
            ended=time.time() if ended else None,
            outcome=self._outcome() if ended else None,
        )
        if any(target.counted for target in self._targets):
            counts, longest = summary(self._targets)
            self.record = dataclasses.replace(
                self.record,
                counts=counts,
                longest_wait=longest,
                effects={n: did for target in self._targets for n, did in target.effects.items()},
            )
        await self._save()

    def _outcome(self) -> OutcomeKind | None:
        """An event of one target may have come too late for another one."""
        found = {target.state.outcome for target in self._targets} - {None}
        return next(iter(found - {OutcomeKind.ABANDONED}), OutcomeKind.ABANDONED) if found else None

    async def _save(self, replaces: HandoverId | None = None) -> None:
        try:
            await self._components.store.save(self.record, replaces=replaces)
        except ComponentError as exc:
            LOG.error("handover %s: its record could not be saved: %s", self.id, exc)

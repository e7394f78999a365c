"""Performs the actions of one target's handover. A long action is a task that ends in an event."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine

from oslo_log import log

from nova_cachemig.agent.manager.components import Components
from nova_cachemig.agent.ports import ComponentError, MigrationState
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.handover.table import EDGE_OF
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.model.phase import EdgeState, Phase
from nova_cachemig.model.service import Route, Target

LOG = log.getLogger(__name__)

SILENCE_INTERVAL = 0.05
"""Seconds between probes of a running guest. Each probe costs the guest a connection, and libvirt
usually reports the pause first."""

RETURN_INTERVAL = 0.02
"""Seconds between probes of a silent guest: how late its return is noticed at most."""

HELD_POLL = 0.01
"""Seconds between two counts of held requests."""

HELD_TIMEOUT = 0.5
"""Seconds for which a release waits for responses to the last held requests."""

PASSED_TIMEOUT = 0.5
"""Seconds from the guest's return for which the journal waits for responses to writes that passed
before the silence. A guest needs milliseconds for most; a long poll is not worth more."""

PASSED_POLL = 0.01
"""Seconds between two looks for such writes."""

ARRIVAL_TIMEOUT = 0.2
"""Seconds for which a release waits for requests whose head has arrived and whose body has not.
Further writes are held at the edge meanwhile."""

CONFIRM_TIMEOUT = 2.0
"""Seconds from the guest's return for which the journal waits for Nova to confirm its address. Only
after a restart does Nova's response come so late, and a slow Nova is no reason for doubt."""

GIVE_UP_TIMEOUT = 10.0
"""Seconds for which a release past the deadline waits until the writes' quarantine is durable."""

_EVENT_OF = {
    MigrationState.RUNNING: EventKind.STILL_RUNNING,
    MigrationState.COMPLETED: EventKind.COMPLETED,
    MigrationState.FAILED: EventKind.ROLLED_BACK,
    MigrationState.DELETED: EventKind.DELETED,
}


class Performer:
    """Performs the actions of one target's handover with the agent's components.

    ``routes`` lead to one target; those without a target take no part. ``post`` receives the events
    that actions lead to, ``note`` sentences for the record. ``began``: when the handover began, in
    loop time.
    """

    def __init__(
        self,
        components: Components,
        handover: HandoverId,
        routes: tuple[Route, ...],
        began: float,
        post: Callable[[Event], None],
        note: Callable[[str], None],
    ) -> None:
        self._components = components
        self.handover = handover
        self._routes = tuple(r for r in routes if r.target is not None)
        self._confirming: asyncio.Task[None] | None = None
        self._began = began
        self._post = post
        self._note = note
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.warmed = asyncio.Event()
        self.pages = 0
        self._do: dict[Action, Callable[[Phase], Awaitable[None]]] = {
            Action.OPEN_WRITES: self._open_writes,
            Action.SEND_WRITES: self._send_writes,
            Action.HOLD_WRITES: self._hold_writes,
            Action.SET_EDGE: self._set_edge,
            Action.START_WARM: self._start_warm,
            Action.KEEP_WARM: self._keep_warm,
            Action.STOP_WARM: self._stop_warm,
            Action.WATCH_SILENCE: self._watch_silence,
            Action.WAIT_REACHABLE: self._wait_reachable,
            Action.STOP_PROBE: self._stop_probe,
            Action.RESEND_LOST: self._resend_lost,
            Action.WAIT_CAUGHT_UP: self._wait_caught_up,
            Action.RELEASE_ANYWAY: self._release_anyway,
            Action.RELEASE: self._release,
            Action.REARM: self._rearm,
            Action.ASK_NOVA: self._ask_nova,
        }

    @property
    def services(self) -> tuple[str, ...]:
        """Names of the services on this target."""
        return tuple(route.service.name for route in self._routes)

    def _target(self) -> Target | None:
        """Return the guest's present address; None if Nova has to confirm it first."""
        self._routes = tuple(self._components.guests.present(route) for route in self._routes)
        targets = {route.target for route in self._routes}
        return None if None in targets else next(iter(targets), None)

    async def perform(self, action: Action, phase: Phase) -> None:
        """Perform one action. A failure is noted and the handover continues; OPEN_WRITES raises."""
        if action is Action.FINISH:
            return
        try:
            await self._do[action](phase)
        except ComponentError as exc:
            if action is Action.OPEN_WRITES:
                raise
            LOG.error("handover %s: %s failed: %s", self.handover, action, exc)
            self._note(f"{action} failed: {exc}")

    async def stop(self) -> None:
        """End all tasks."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # -- tasks ---------------------------------------------------------------------------

    def _spawn(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        self._cancel(name)
        self._tasks[name] = asyncio.create_task(self._guarded(name, work))

    def _cancel(self, name: str) -> None:
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def _guarded(self, name: str, work: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await work()
        except ComponentError as exc:
            LOG.error("handover %s: %s failed: %s", self.handover, name, exc)
            self._note(f"{name} failed: {exc}")
        except Exception:  # logged and noted; the watchdog still ends the handover
            LOG.exception("handover %s: %s failed", self.handover, name)
            self._note(f"{name} failed; see the log")

    def _event(self, kind: EventKind, detail: str = "") -> None:
        self._post(Event(kind, time.time(), detail))

    # -- writes --------------------------------------------------------------------------

    async def _open_writes(self, phase: Phase) -> None:
        self._confirming = self._components.guests.confirm(self.handover.instance)
        for route in self._routes:
            await self._components.writes.open(route.service)

    def _is_confirming(self) -> bool:
        return self._confirming is not None and not self._confirming.done()

    async def _send_writes(self, phase: Phase) -> None:
        if phase is Phase.REPLAYING and (self._is_confirming() or await self._overtaken()):
            self._spawn("send", self._send_later)
        else:
            self._cancel("send")
            await self._send_all()

    async def _send_later(self) -> None:
        """Let writes that passed before the silence end first, if the journal has a later one.

        The client of such a write has had no response, so no order is due. But a client that gave
        up and tried again expects that the later one wins. And after a restart, let Nova confirm
        the guest's last known address.
        """
        if self._confirming is not None:
            await asyncio.wait({self._confirming}, timeout=CONFIRM_TIMEOUT)
        loop = asyncio.get_running_loop()
        end = loop.time() + PASSED_TIMEOUT
        while loop.time() < end and await self._overtaken():  # noqa: ASYNC110
            await asyncio.sleep(PASSED_POLL)
        await self._send_all()

    async def _overtaken(self) -> int:
        engine, total = self._components.engine, 0
        with contextlib.suppress(ComponentError):  # without a count there is no wait
            for name in self.services:
                total += await engine.overtaken(name)
        return total

    async def _send_all(self) -> None:
        if self._target() is None:
            for name in self.services:
                await self._components.writes.hold(name)
            return
        for route in self._routes:
            if route.target is not None:
                await self._components.writes.send_to(route.service.name, route.target)

    async def _hold_writes(self, phase: Phase) -> None:
        self._cancel("send")
        self._cancel("drain")
        self._cancel("release")  # it would open the edge again
        for name in self.services:
            await self._components.writes.unseal(name)
            await self._components.writes.hold(name)

    async def _wait_caught_up(self, phase: Phase) -> None:
        if not self._is_releasing():  # its event follows
            self._spawn("drain", self._caught_up)

    async def _caught_up(self) -> None:
        sending = self._tasks.get("send")
        if sending is not None:
            await asyncio.wait({sending})
        await asyncio.gather(*(self._components.writes.caught_up(name) for name in self.services))
        await asyncio.gather(*(self._held_ended(name) for name in self.services))
        self._event(EventKind.CAUGHT_UP)

    async def _held_ended(self, name: str) -> None:
        """Wait for the last held reads, which are many reads of few pages: the cache serves them.

        New writes may hold further reads at any time, so the wait is limited.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + HELD_TIMEOUT
        with contextlib.suppress(ComponentError):  # without a count there is no wait
            while loop.time() < end and await self._components.engine.holding(name):  # noqa: ASYNC110
                await asyncio.sleep(HELD_POLL)

    # -- edge ----------------------------------------------------------------------------

    async def _set_edge(self, phase: Phase) -> None:
        await self._set_all(EDGE_OF[phase])

    async def _set_all(self, state: EdgeState) -> None:
        for name in self.services:
            await self._components.engine.set_state(name, state)

    async def _resend_lost(self, phase: Phase) -> None:
        for name in self.services:
            await self._components.engine.resend_lost(name)

    def _is_releasing(self) -> bool:
        """Whether the edge is about to open. To begin again would hold writes for longer."""
        task = self._tasks.get("release")
        return task is not None and not task.done()

    async def _release(self, phase: Phase) -> None:
        if not self._is_releasing():
            self._spawn("release", self._release_all)

    async def _release_all(self) -> None:
        await self._open_edge(EdgeState.PASS, EventKind.RELEASE_DONE)

    async def _rearm(self, phase: Phase) -> None:
        if not self._is_releasing():
            self._spawn("release", self._rearm_all)

    async def _rearm_all(self) -> None:
        await self._open_edge(EdgeState.ARMED, EventKind.REARMED)

    async def _open_edge(self, state: EdgeState, done: EventKind) -> None:
        """Empty the journal, then let writes pass to the guest: no write overtakes another.

        The edge holds new writes meanwhile, but not before this handover's turn.
        """
        engine, writes = self._components.engine, self._components.writes
        try:
            async with self._components.releases.turn():
                await self._set_all(EdgeState.DRAIN)
                await asyncio.gather(*(writes.seal(n, ARRIVAL_TIMEOUT) for n in self.services))
                for name in self.services:
                    await engine.set_state(name, state)
                    await writes.close(name)
        except ComponentError as exc:
            for name in self.services:
                await writes.unseal(name)
            self._event(EventKind.RELEASE_FAILED, str(exc))
        else:
            self._event(done)

    async def _release_anyway(self, phase: Phase) -> None:
        self._cancel("drain")
        self._spawn("release", self._release_undrained)

    async def _release_undrained(self) -> None:
        """Leave the writes that are not applied to the operator, and release the services.

        They are not sent later on their own, because a direct write may be newer by then.
        """
        engine, writes = self._components.engine, self._components.writes
        patience = min(GIVE_UP_TIMEOUT, self._components.timeouts.ask_nova_after / 2)
        # Not cancelled after this time: no service passes on whose writes are not given up.
        tasks = [asyncio.create_task(writes.give_up(name)) for name in self.services]
        done, pending = await asyncio.wait(tasks, timeout=patience)
        if pending:  # the next deadline event would begin again
            self._note("released before the journal's database has the quarantine of the writes")
        for task in done:
            task.result()
        for name in self.services:
            await engine.set_state(name, EdgeState.PASS)
        self._event(EventKind.RELEASE_DONE)

    # -- warming -------------------------------------------------------------------------

    async def _start_warm(self, phase: Phase) -> None:
        self._spawn("warm", self._warm)

    async def _warm(self) -> None:
        deadline = asyncio.get_running_loop().time() + self._components.timeouts.warm
        try:
            await asyncio.gather(
                *(self._components.warmer.warm(name, deadline=deadline) for name in self.services)
            )
        except asyncio.CancelledError:
            self._note_warmed(", not finished")
            raise
        else:
            self._note_warmed()
        finally:
            self.warmed.set()

    def _note_warmed(self, end: str = "") -> None:
        done = [self._components.warmer.warm_counts(name) for name in self.services]
        self.pages = sum(counts.fetched for counts in done)
        wanted = sum(counts.wanted for counts in done)
        failed = sum(counts.failed for counts in done)
        self._note(f"warmed {self.pages} of {wanted} pages, {failed} failed{end}")

    async def _keep_warm(self, phase: Phase) -> None:
        self.warmed.set()
        self._spawn("warm", self._keep_all_warm)

    async def _keep_all_warm(self) -> None:
        await asyncio.gather(*(self._components.warmer.keep_warm(name) for name in self.services))

    async def _stop_warm(self, phase: Phase) -> None:
        self.warmed.set()
        self._cancel("warm")

    # -- probes --------------------------------------------------------------------------

    async def _watch_silence(self, phase: Phase) -> None:
        self._spawn("probe", self._silence)

    async def _silence(self) -> None:
        if (target := self._target()) is not None:
            await self._components.prober.wait_silent(target, interval=SILENCE_INTERVAL)
            self._event(EventKind.SILENT)

    async def _wait_reachable(self, phase: Phase) -> None:
        self._spawn("probe", self._reachable)

    async def _reachable(self) -> None:
        target = self._target()
        if target is not None:
            await self._components.prober.wait_reachable(target, interval=RETURN_INTERVAL)
        elif self._routes:
            return  # TARGET_FOUND begins again
        self._event(EventKind.REACHABLE)

    def expect_return(self) -> None:
        """An event says that the guest runs, or will run again: look for it without delay."""
        if (target := self._target()) is not None:
            self._components.prober.expect(target)

    async def _stop_probe(self, phase: Phase) -> None:
        self._cancel("probe")

    # -- Nova ----------------------------------------------------------------------------

    async def _ask_nova(self, phase: Phase) -> None:
        self._spawn("nova", self._ask)

    async def _ask(self) -> None:
        lasts = asyncio.get_running_loop().time() - self._began
        state = await self._components.nova.migration_state(self.handover.instance, lasts)
        if state in _EVENT_OF:
            self._event(_EVENT_OF[state], "asked")

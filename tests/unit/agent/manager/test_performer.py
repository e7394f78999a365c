"""Each action of a handover, with one real method under a twin that does nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import math
import unittest
from unittest import mock

from nova_cachemig.agent import noop, ports
from nova_cachemig.agent.manager import performer
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.gate import ReleaseGate
from nova_cachemig.agent.manager.performer import Performer
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.model.phase import EdgeState, Phase
from nova_cachemig.model.service import Route, Service, Target

ROUTES = tuple(
    Route(Service(name, "uuid", 80, ("192.0.2.1", port)), Target("192.0.2.9", 80))
    for name, port in (("shop", 80), ("blog", 81))
)
UNKNOWN_GUEST = Route(Service("lost", "uuid", 82, ("192.0.2.1", 82)), None)
LIMIT = 5.0


class Engine(noop.NoEngine):
    def __init__(self) -> None:
        self.states: list[tuple[str, EdgeState]] = []
        self.error: Exception | None = None
        self.in_flight = 0
        self.count_error: Exception | None = None

    async def set_state(self, service: str, state: EdgeState) -> None:
        if self.error is not None:
            raise self.error
        self.states.append((service, state))

    async def overtaken(self, service: str) -> int:
        if self.count_error is not None:
            raise self.count_error
        return self.in_flight


class Writes(noop.NoWrites):
    open_error: ports.ComponentError | None = None
    close_error: ports.ComponentError | None = None
    stuck = False

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.empty = asyncio.Event()
        self.empty.set()
        self.sealed: list[str] = []
        self.given_up: list[str] = []

    async def send_to(self, service: str, target: Target) -> None:
        self.sent.append(service)

    async def caught_up(self, service: str) -> None:
        await self.empty.wait()

    async def seal(self, service: str, patience: float) -> None:
        if self.stuck:
            await asyncio.Event().wait()
        self.sealed.append(service)

    async def unseal(self, service: str) -> None:
        with contextlib.suppress(ValueError):
            self.sealed.remove(service)

    async def give_up(self, service: str) -> None:
        self.given_up.append(service)

    async def open(self, service: Service) -> None:
        if self.open_error is not None:
            raise self.open_error

    async def close(self, service: str) -> None:
        if self.close_error is not None:
            raise self.close_error


class Warmer(noop.NoWarmer):
    error: Exception | None = None
    endless = False

    async def warm(self, service: str, *, deadline: float) -> ports.WarmCounts:
        if self.error is not None:
            raise self.error
        if self.endless:
            await asyncio.Event().wait()
        return self.warm_counts(service)

    def warm_counts(self, service: str) -> ports.WarmCounts:
        return ports.WarmCounts(wanted=3, fetched=2, failed=1)


class Prober(noop.NoProber):
    def __init__(self) -> None:
        self.intervals: list[float] = []
        self.expected: list[Target] = []

    async def wait_reachable(self, target: Target, *, interval: float) -> None:
        self.intervals.append(interval)

    async def wait_silent(self, target: Target, *, interval: float) -> None:
        self.intervals.append(interval)

    def expect(self, target: Target) -> None:
        self.expected.append(target)


class Nova(noop.NoNova):
    state = ports.MigrationState.UNKNOWN
    lasts = 0.0

    async def migration_state(self, instance: str, lasts: float) -> ports.MigrationState:
        self.lasts = lasts
        return self.state


class PerformerTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.engine, self.writes, self.warmer = Engine(), Writes(), Warmer()
        self.prober, self.nova = Prober(), Nova()
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.notes: list[str] = []
        self.releases = ReleaseGate(1, 3600.0)
        components = Components(
            self.engine,
            self.writes,
            self.warmer,
            self.prober,
            noop.NoHandoverStore(),
            self.nova,
            Timeouts(warm=5.0, ask_nova_after=60.0, deadline=3600.0),
            releases=self.releases,
        )
        self.performer = Performer(
            components,
            HandoverId("uuid", "req-1"),
            (*ROUTES, UNKNOWN_GUEST),
            -math.inf,
            self.events.put_nowait,
            self.notes.append,
        )
        self.addAsyncCleanup(self.performer.stop)

    async def perform(self, action: Action, phase: Phase = Phase.SHIELDED) -> None:
        await self.performer.perform(action, phase)

    async def event(self) -> Event:
        async with asyncio.timeout(LIMIT):
            return await self.events.get()

    def test_a_service_without_a_known_guest_is_left_out(self) -> None:
        self.assertEqual(("shop", "blog"), self.performer.services)

    async def test_the_edge_gets_the_state_of_the_phase(self) -> None:
        await self.perform(Action.SET_EDGE, Phase.SHIELDED)
        self.assertEqual(
            [("shop", EdgeState.SHIELDED), ("blog", EdgeState.SHIELDED)], self.engine.states
        )

    async def test_a_failed_action_is_noted(self) -> None:
        self.engine.error = ports.ComponentError("HAProxy is down")
        await self.perform(Action.SET_EDGE)
        self.assertEqual(["set_edge failed: HAProxy is down"], self.notes)

    async def test_a_journal_that_cannot_open_ends_the_handover(self) -> None:
        self.writes.open_error = ports.ComponentError("the disk is full")
        with self.assertRaisesRegex(ports.ComponentError, "the disk is full"):
            await self.perform(Action.OPEN_WRITES)

    async def test_the_edge_is_armed_again_when_the_journal_is_sealed(self) -> None:
        await self.perform(Action.REARM, Phase.REPLAYING)
        self.assertIs(EventKind.REARMED, (await self.event()).kind)
        drain, armed = EdgeState.DRAIN, EdgeState.ARMED
        both = [("shop", drain), ("blog", drain), ("shop", armed), ("blog", armed)]
        self.assertEqual(both, self.engine.states)
        self.assertEqual(["shop", "blog"], self.writes.sealed)

    async def test_a_write_that_comes_while_arming_again_drains_again(self) -> None:
        self.writes.close_error = ports.ComponentError("a write waits")
        await self.perform(Action.REARM, Phase.REPLAYING)
        event = await self.event()
        self.assertEqual((EventKind.RELEASE_FAILED, "a write waits"), (event.kind, event.detail))
        self.assertEqual([], self.writes.sealed)

    async def test_a_pause_stops_the_step_to_armed(self) -> None:
        blocked, entered = asyncio.Event(), asyncio.Event()

        async def seal(service: str, patience: float) -> None:
            self.writes.sealed.append(service)
            entered.set()
            await blocked.wait()

        self.writes.seal = seal  # type: ignore[method-assign]
        self.writes.unseal = noop.NoWrites().unseal  # type: ignore[method-assign]
        await self.perform(Action.REARM, Phase.REPLAYING)
        async with asyncio.timeout(LIMIT):
            await entered.wait()
        await self.perform(Action.HOLD_WRITES, Phase.SHIELDED)
        blocked.set()
        await asyncio.sleep(0)
        both = [("shop", EdgeState.DRAIN), ("blog", EdgeState.DRAIN)]
        self.assertEqual(both, self.engine.states)
        self.assertTrue(self.events.empty())

    async def test_a_drain_does_not_begin_again_when_the_outcome_is_known(self) -> None:
        blocked = asyncio.Event()
        calls: list[str] = []

        async def seal(service: str, patience: float) -> None:
            calls.append(service)
            await blocked.wait()

        self.writes.seal = seal  # type: ignore[method-assign]
        for action in (Action.RELEASE, Action.WAIT_CAUGHT_UP, Action.RELEASE, Action.REARM):
            await self.perform(action, Phase.REPLAYING)
            await asyncio.sleep(0)
        blocked.set()
        self.assertIs(EventKind.RELEASE_DONE, (await self.event()).kind)
        self.assertEqual((["shop", "blog"], True), (calls, self.events.empty()))

    async def test_the_journal_waits_for_a_write_that_passed_to_the_same_page(self) -> None:
        self.engine.in_flight = 1
        await self.perform(Action.SEND_WRITES, Phase.REPLAYING)
        await self.perform(Action.WAIT_CAUGHT_UP, Phase.REPLAYING)
        await asyncio.sleep(0)
        self.assertEqual(([], True), (self.writes.sent, self.events.empty()))
        self.engine.in_flight = 0
        self.assertIs(EventKind.CAUGHT_UP, (await self.event()).kind)
        self.assertEqual(["shop", "blog"], self.writes.sent)

    async def test_it_does_not_wait_for_ever(self) -> None:
        self.engine.in_flight = 1
        with mock.patch.object(performer, "PASSED_TIMEOUT", 0.0):
            await self.perform(Action.SEND_WRITES, Phase.REPLAYING)
            await asyncio.gather(*self.performer._tasks.values())
        self.assertEqual(["shop", "blog"], self.writes.sent)

    async def test_it_does_not_wait_for_an_unknown_number(self) -> None:
        self.engine.count_error = ports.ComponentError("HAProxy is down")
        await self.perform(Action.SEND_WRITES, Phase.REPLAYING)
        self.assertEqual(["shop", "blog"], self.writes.sent)

    async def test_it_does_not_wait_at_the_start_nor_send_after_another_pause(self) -> None:
        self.engine.in_flight = 1
        await self.perform(Action.SEND_WRITES, Phase.WARMING)
        self.assertEqual(["shop", "blog"], self.writes.sent)
        await self.perform(Action.SEND_WRITES, Phase.REPLAYING)
        self.writes.sealed += ["shop", "blog"]
        await self.perform(Action.HOLD_WRITES, Phase.SHIELDED)
        self.engine.in_flight = 0
        await asyncio.sleep(0)
        self.assertEqual(["shop", "blog"], self.writes.sent)

    async def test_the_finish_is_the_callers(self) -> None:
        await self.perform(Action.FINISH)
        self.assertEqual(([], []), (self.notes, self.engine.states))

    async def test_a_running_guest_is_probed_more_rarely_than_a_silent_one(self) -> None:
        await self.perform(Action.WATCH_SILENCE)
        self.assertIs(EventKind.SILENT, (await self.event()).kind)
        self.assertEqual([performer.SILENCE_INTERVAL], self.prober.intervals)
        self.prober.intervals.clear()
        await self.perform(Action.WAIT_REACHABLE)
        self.assertIs(EventKind.REACHABLE, (await self.event()).kind)
        self.assertEqual([performer.RETURN_INTERVAL], self.prober.intervals)
        self.assertGreater(performer.SILENCE_INTERVAL, performer.RETURN_INTERVAL)

    async def test_novas_state_becomes_an_event(self) -> None:
        for state, kind in (
            (ports.MigrationState.RUNNING, EventKind.STILL_RUNNING),
            (ports.MigrationState.COMPLETED, EventKind.COMPLETED),
            (ports.MigrationState.FAILED, EventKind.ROLLED_BACK),
            (ports.MigrationState.DELETED, EventKind.DELETED),
        ):
            self.nova.state = state
            await self.perform(Action.ASK_NOVA)
            self.assertIs(kind, (await self.event()).kind)
            self.assertEqual(math.inf, self.nova.lasts)

    async def test_an_unknown_state_is_no_event(self) -> None:
        await self.perform(Action.ASK_NOVA)
        await asyncio.gather(*self.performer._tasks.values())
        self.assertTrue(self.events.empty())

    async def test_warming_is_counted_over_all_services(self) -> None:
        await self.perform(Action.START_WARM)
        async with asyncio.timeout(LIMIT):
            await self.performer.warmed.wait()
        self.assertEqual(4, self.performer.pages)
        self.assertEqual(["warmed 4 of 6 pages, 2 failed"], self.notes)

    async def test_warming_that_is_cut_short_is_counted_too(self) -> None:
        self.warmer.endless = True
        for action in (Action.KEEP_WARM, Action.STOP_WARM):
            with self.subTest(action):
                self.notes.clear()
                self.performer.pages = 0
                await self.perform(Action.START_WARM)
                (task,) = self.performer._tasks.values()
                await asyncio.sleep(0)  # the task begins
                await self.perform(action)
                await asyncio.gather(task, return_exceptions=True)
                self.assertEqual(4, self.performer.pages)
                self.assertEqual(["warmed 4 of 6 pages, 2 failed, not finished"], self.notes)

    async def test_warming_that_fails_does_not_delay_nova(self) -> None:
        self.warmer.error = RuntimeError("a bug")
        with self.assertLogs("nova_cachemig.agent.manager.performer", "ERROR"):
            await self.perform(Action.START_WARM)
            async with asyncio.timeout(LIMIT):
                await self.performer.warmed.wait()
            await asyncio.gather(*self.performer._tasks.values())
        self.assertEqual(["warm failed; see the log"], self.notes)

    async def test_warming_during_the_copy_ends_with_stop(self) -> None:
        await self.perform(Action.KEEP_WARM)
        self.assertTrue(self.performer.warmed.is_set())
        (task,) = self.performer._tasks.values()
        await self.perform(Action.STOP_WARM)
        await asyncio.gather(task, return_exceptions=True)
        self.assertTrue(task.cancelled())

    async def test_a_drained_journal_is_an_event(self) -> None:
        await self.perform(Action.WAIT_CAUGHT_UP)
        self.assertIs(EventKind.CAUGHT_UP, (await self.event()).kind)

    async def test_a_release_drains_then_passes(self) -> None:
        await self.perform(Action.RELEASE)
        self.assertIs(EventKind.RELEASE_DONE, (await self.event()).kind)
        drained, passed = [EdgeState.DRAIN] * 2, [EdgeState.PASS] * 2
        self.assertEqual(drained + passed, [state for _, state in self.engine.states])

    async def test_a_release_with_a_write_that_waits_fails(self) -> None:
        self.writes.close_error = ports.ComponentError("1 writes wait")
        await self.perform(Action.RELEASE)
        event = await self.event()
        self.assertEqual((EventKind.RELEASE_FAILED, "1 writes wait"), (event.kind, event.detail))

    async def test_the_edge_holds_no_write_before_the_turn_of_a_release(self) -> None:
        for action, done in (
            (Action.RELEASE, EventKind.RELEASE_DONE),
            (Action.REARM, EventKind.REARMED),
        ):
            with self.subTest(action):
                self.engine.states.clear()
                async with self.releases.turn():
                    await self.perform(action)
                    for _ in range(10):
                        await asyncio.sleep(0)
                    self.assertEqual([], self.engine.states)
                self.assertIs(done, (await self.event()).kind)
                self.assertEqual(4, len(self.engine.states))

    async def test_a_release_in_any_case_does_not_wait_for_the_guest(self) -> None:
        self.writes.stuck = True
        await self.perform(Action.RELEASE_ANYWAY, Phase.REPLAYING)
        self.assertIs(EventKind.RELEASE_DONE, (await self.event()).kind)
        self.assertEqual(["shop", "blog"], self.writes.given_up)
        self.assertEqual([EdgeState.PASS] * 2, [state for _, state in self.engine.states])

    async def test_a_pause_ends_a_release(self) -> None:
        self.writes.stuck = True
        await self.perform(Action.RELEASE)
        (task,) = self.performer._tasks.values()
        await asyncio.sleep(0)  # the task begins
        await self.perform(Action.HOLD_WRITES)
        await asyncio.gather(task, return_exceptions=True)
        self.assertNotIn(EdgeState.PASS, [state for _, state in self.engine.states])
        self.assertTrue(self.events.empty())

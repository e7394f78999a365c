import dataclasses
import inspect
import math
import threading
import time
import unittest
from typing import Any
from unittest import mock

import oslo_messaging
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.rpc import agent, bus
from nova_cachemig.rpc.cast_queue import MAX_AGE
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from tests.unit.rpc.endpoints import RECORD, OnFakeBus, RecordingEndpoint

JUNK = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.just({})
NAMES = st.text(min_size=1, max_size=255)
EVENT = GuestEvent("uuid-1", EventKind.PAUSED, 12.25, "host-a", None, "suspended_migrated")


class Casts(OnFakeBus):
    def test_begin_arrives_as_it_was_sent(self) -> None:
        self.serve()
        ctxt = {"request_id": "req-1", "auth_token": "secret"}
        cast = self.client().begin(ctxt, "uuid-1", "req-1", "a", None, 3.5)
        self.assertTrue(cast.delivered(5))
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received)))
        [(method, handover, source, destination, at, behind, context)] = self.endpoint.received
        self.assertEqual(
            ("begin", HandoverId("uuid-1", "req-1"), "a", None, {"request_id": "req-1"}),
            (method, handover, source, destination, context),
        )
        self.assertAlmostEqual(time.time(), at, delta=60.0)
        self.assertAlmostEqual(at - 3.5, behind)

    def test_a_guest_event_arrives_as_it_was_sent(self) -> None:
        self.serve()
        self.client().guest_event({}, EVENT)
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received)))
        [(method, event)] = self.endpoint.received
        self.assertEqual(("guest_event", EVENT), (method, dataclasses.replace(event, at=EVENT.at)))

    def test_a_change_of_an_instance_arrives_as_it_was_sent(self) -> None:
        self.serve()
        self.client().instance_changed({}, "uuid-1", InstanceChange.DETACHED)
        self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received)))
        expected = ("instance_changed", "uuid-1", InstanceChange.DETACHED)
        self.assertEqual([expected], self.endpoint.received)

    def test_a_change_does_not_break_an_agent_of_1_2(self) -> None:
        class Dispatch12(agent.Dispatch):
            target = oslo_messaging.Target(version="1.2")
            instance_changed = None  # type: ignore[assignment]

        with mock.patch.object(agent, "Dispatch", Dispatch12):
            self.serve()
        client = self.client()
        with self.assertLogs("oslo_messaging.rpc.server", "ERROR"):
            client.instance_changed({}, "uuid-1", InstanceChange.DELETED)
            client.guest_event({}, EVENT)
            self.assertTrue(self.endpoint.await_that(lambda: bool(self.endpoint.received)))
            self.assertEqual("cache1", client.ping({})["host"])
        self.assertEqual("guest_event", self.endpoint.received[0][0])

    def test_what_is_no_primitive_is_the_callers_fault(self) -> None:
        with self.assertRaises(bus.NotPrimitiveError):
            self.client().begin({}, "uuid-1", "req-1", b"a", None, 1.0)  # type: ignore[arg-type]

    def test_warming_up_opens_the_connection(self) -> None:
        self.serve()
        self.assertTrue(self.client().warm_up().delivered(5))


class Calls(OnFakeBus):
    def test_each_call_returns_the_models_types(self) -> None:
        self.serve()
        client = self.client()
        self.assertEqual([RECORD], client.handovers({}, 5))
        self.assertEqual([], client.handovers({}, 5, 1))
        self.assertEqual(RECORD, client.handover({}, "uuid-1", "req-1"))
        self.assertEqual(RECORD, client.handover({}, "uuid-1", None))
        self.assertIsNone(client.handover({}, "uuid-1", "req-other"))
        self.assertEqual("10.0.0.1:80", client.services({})[0]["listen"])
        self.assertEqual(["shop.yaml: no port"], client.reload({}))
        self.assertEqual("cache1", client.ping({})["host"])
        warm = client.wait_warm({}, "uuid-1", "req-1", 0.0)
        self.assertEqual(agent.WarmResponse(True, "armed", "warm"), warm)

    def test_a_slice_is_never_longer_than_allowed(self) -> None:
        self.serve()
        self.client().wait_warm({}, "uuid-1", "req-1", 1000.0, timeout=5.0)
        self.assertEqual(agent.SLICE, self.endpoint.received[0][2])

    def test_an_invalid_result_is_refused(self) -> None:
        self.serve()
        self.endpoint.warm = {"phase": "armed"}
        with self.assertRaisesRegex(RefusedError, "not a response"):
            self.client().wait_warm({}, "uuid-1", "req-1", 0.0)

    def test_an_error_of_the_agent_comes_as_its_sentence(self) -> None:
        self.serve()
        self.endpoint.error = ValueError("no such thing")
        with self.assertRaises(RefusedError) as caught:
            self.client().ping({})
        self.assertIn("no such thing", str(caught.exception))
        self.assertNotIn("Traceback", str(caught.exception))

    def test_without_a_listener_a_call_costs_the_timeout_and_no_more(self) -> None:
        began = time.monotonic()
        with self.assertRaises(UnreachableError):
            self.client(rpc_timeout=0.3).ping({})
        self.assertLess(time.monotonic() - began, 0.3 + 1.0)

    def test_an_agent_that_hangs_costs_the_timeout_and_no_more(self) -> None:
        self.serve()
        self.endpoint.gate.clear()
        began = time.monotonic()
        with self.assertRaises(UnreachableError):
            self.client().wait_warm({}, "uuid-1", "req-1", 0.0, timeout=0.3)
        self.assertLess(time.monotonic() - began, 0.3 + 1.0)


class WhatComesOverTheWire(unittest.TestCase):
    def setUp(self) -> None:
        self.endpoint = RecordingEndpoint()
        self.dispatch = agent.Dispatch(self.endpoint)

    def test_so_many_wait_that_threads_are_left_for_events(self) -> None:
        self.assertGreaterEqual(agent.THREADS - agent.WAITING_LIMIT, 64)
        self.dispatch._waiting = threading.Semaphore(1)
        for _ in range(2):  # the place is free again
            self.dispatch.wait_warm({}, "u1", "r", 2.0)
        with self.dispatch._waiting:
            self.dispatch.wait_warm({}, "u2", "r", 2.0)
        self.assertEqual([2.0, 2.0, 0.0], [call[-1] for call in self.endpoint.received])

    @given(JUNK, JUNK, JUNK, JUNK, JUNK)
    def test_begin_is_either_understood_or_a_value_error(
        self, instance: Any, request: Any, source: Any, destination: Any, at: Any
    ) -> None:
        try:
            self.dispatch.begin({}, instance, request, source, destination, at)
        except oslo_messaging.ExpectedException as exc:
            self.assertIs(ValueError, exc.exc_info[0])
        else:
            self.assertTrue(isinstance(instance, str) and instance)
            self.assertTrue(isinstance(request, str) and request)
            self.assertNotIsInstance(at, bool)

    @given(JUNK | st.dictionaries(st.sampled_from(["instance", "kind", "at"]), JUNK))
    def test_an_event_is_either_understood_or_a_value_error(self, junk: Any) -> None:
        try:
            self.dispatch.guest_event({}, junk)
        except oslo_messaging.ExpectedException as exc:
            self.assertIs(ValueError, exc.exc_info[0])
        else:
            self.assertIsInstance(self.endpoint.received[-1][1], GuestEvent)

    @given(JUNK | NAMES, JUNK | st.sampled_from(["deleted", "changed", "new"]))
    def test_a_change_is_either_understood_or_a_value_error(
        self, instance: Any, change: Any
    ) -> None:
        try:
            self.dispatch.instance_changed({}, instance, change)
        except oslo_messaging.ExpectedException as exc:
            self.assertIs(ValueError, exc.exc_info[0])
        else:
            self.assertEqual(("instance_changed", instance, change), self.endpoint.received[-1])

    def test_rounds_of_memory_copy_of_1_0_are_ignored_without_an_error(self) -> None:
        wire = {"instance": "uuid-1", "kind": "iteration", "at": 1.0, "detail": "3"}
        self.dispatch.guest_event({}, wire)
        self.assertEqual([], self.endpoint.received)

    def test_an_event_that_is_not_nova_computes_is_refused(self) -> None:
        with self.assertRaises(oslo_messaging.ExpectedException):
            self.dispatch.guest_event({}, {"instance": "uuid-1", "kind": "begin", "at": 1.0})
        self.assertEqual([], self.endpoint.received)

    @given(NAMES, NAMES, st.floats(allow_nan=False))
    def test_an_event_survives_the_wire(self, instance: str, host: str, at: float) -> None:
        event = GuestEvent(instance, EventKind.RESUMED, at, host)
        self.dispatch.guest_event({}, event.to_wire())
        received = self.endpoint.received[-1][1]
        self.assertEqual(event, dataclasses.replace(received, at=at))

    @given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
    def test_the_time_to_wait_is_bounded_here_too(self, wait: float) -> None:
        self.dispatch.wait_warm({}, "uuid-1", "req-1", wait)
        self.assertTrue(0.0 <= self.endpoint.received[-1][2] <= agent.SLICE)

    def test_what_is_no_number_of_seconds_is_refused(self) -> None:
        for junk in ("1", None, True, math.nan, math.inf, 10**400):
            with self.subTest(junk), self.assertRaises(oslo_messaging.ExpectedException):
                self.dispatch.begin({}, "uuid-1", "req-1", None, None, junk)

    def test_a_list_is_bounded(self) -> None:
        self.dispatch.handovers({}, 10**9)
        self.assertEqual(("handovers", agent.HANDOVERS_LIMIT, 0), self.endpoint.received[-1])


class Clocks(unittest.TestCase):
    """The clock of nova-compute's host is ten minutes off; only the agent's counts."""

    NOW = 1_800_000_000.0

    def setUp(self) -> None:
        self.endpoint = RecordingEndpoint()
        self.dispatch = agent.Dispatch(self.endpoint)
        clock = mock.patch.object(agent, "time", mock.Mock(time=lambda: self.NOW))
        clock.start()
        self.addCleanup(clock.stop)

    def received(self, ctxt: bus.Context, off: float) -> GuestEvent:
        event = dataclasses.replace(EVENT, at=self.NOW + off)
        self.dispatch.guest_event(ctxt, event.to_wire())
        found: GuestEvent = self.endpoint.received[-1][1]
        return found

    def test_an_event_happened_its_age_before_its_receipt(self) -> None:
        for off in (-600.0, 600.0):
            self.assertEqual(self.NOW - 2.5, self.received({"age": 2.5}, off).at)

    def test_an_older_sender_states_no_age(self) -> None:
        for ctxt in ({}, {"age": None}, {"age": "old"}):
            self.assertEqual(self.NOW, self.received(ctxt, 600.0).at)

    def test_an_age_is_bounded(self) -> None:
        self.assertEqual(self.NOW, self.received({"age": -5.0}, 0.0).at)
        self.assertEqual(self.NOW - MAX_AGE, self.received({"age": 1e9}, 0.0).at)

    def test_the_announcement_of_a_migration_too(self) -> None:
        for off in (-600.0, 600.0):
            self.dispatch.begin({"age": 1.0}, "uuid-1", "req-1", "a", "b", self.NOW - 1.0 + off)
            at, behind = self.endpoint.received[-1][4:6]
            self.assertEqual((self.NOW - 1.0, -off), (at, behind))

    def test_an_agent_of_1_1_ignores_the_age(self) -> None:
        seen: list[Any] = []

        class Dispatch11:
            target = oslo_messaging.Target(version="1.1")

            def guest_event(self, ctxt: bus.Context, event: Any) -> None:
                seen.append(GuestEvent.from_wire(event))

        sent = bus.PrimitiveSerializer().serialize_context({"request_id": "req-1", "age": 2.5})
        Dispatch11().guest_event(sent, EVENT.to_wire())
        self.assertEqual(([EVENT], 2.5), (seen, sent["age"]))


class Contract(unittest.TestCase):
    def test_the_history_names_the_version_in_force(self) -> None:
        self.assertIn(f"* {agent.VERSION} - ", inspect.getdoc(agent) or "")

import math
import threading
import unittest
from typing import Any

import oslo_messaging
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.guest import GuestEvent, GuestEventKind
from nova_cachemig.rpc import server
from nova_cachemig.rpc.agent import AgentRefusedError
from tests.unit.rpc.endpoints import NotingEndpoint, OnFakeBus, new_conf

JUNK = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.just({})
NAMES = st.text(min_size=1, max_size=255)


class WhatComesOverTheWire(unittest.TestCase):
    def setUp(self) -> None:
        self.endpoint = NotingEndpoint()
        self.dispatch = server.Dispatch(self.endpoint)

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
            self.assertIsInstance(self.endpoint.told[-1][1], GuestEvent)

    @given(NAMES, NAMES, st.floats(allow_nan=False))
    def test_an_event_survives_the_wire(self, instance: str, host: str, at: float) -> None:
        event = GuestEvent(instance, GuestEventKind.RESUMED, at, host)
        self.dispatch.guest_event({}, event.to_wire())
        self.assertEqual(event, self.endpoint.told[-1][1])

    @given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**70), 2**70))
    def test_the_time_to_wait_is_bounded_here_too(self, wait: float) -> None:
        self.dispatch.wait_warm({}, "uuid-1", "req-1", wait)
        self.assertTrue(0.0 <= self.endpoint.told[-1][2] <= server.SLICE)

    def test_what_is_no_number_of_seconds_is_refused(self) -> None:
        for junk in ("1", None, True, math.nan, math.inf, 10**400):
            with self.subTest(junk), self.assertRaises(oslo_messaging.ExpectedException):
                self.dispatch.begin({}, "uuid-1", "req-1", None, None, junk)

    def test_a_list_is_bounded(self) -> None:
        self.dispatch.handovers({}, 10**9)
        self.assertEqual(("handovers", server.HANDOVERS_LIMIT), self.endpoint.told[-1])


class Serving(OnFakeBus):
    def test_a_newer_client_is_told_so(self) -> None:
        self.serve()
        client = self.client()
        prepared = client._client()
        prepared.version_cap = "2.0"
        with self.assertRaisesRegex(Exception, "does not support RPC version 2.0"):
            prepared.prepare(version="2.0", timeout=5).call({}, "ping")

    def test_what_is_not_in_the_interface_cannot_be_called(self) -> None:
        self.serve()
        client = self.client()
        for method in ("_note", "__init__", "nothing"):
            with self.assertRaises(AgentRefusedError):
                client._call({}, method, {})
        self.assertEqual([], self.endpoint.told)

    def test_several_are_served_at_once(self) -> None:
        self.serve()
        self.endpoint.gate.clear()
        client = self.client()
        waiting = [threading.Thread(target=client.ping, args=({},)) for _ in range(4)]
        for thread in waiting:
            thread.start()
        together = self.endpoint.await_that(lambda: len(self.endpoint.told) == 4)
        self.endpoint.gate.set()
        for thread in waiting:
            thread.join(5)
        self.assertTrue(together)

    def test_stopping_ends_it(self) -> None:
        served = self.serve()
        self.assertFalse(served.wait(0))
        self.assertTrue(served.stop())
        self.assertTrue(served.wait(5))

    def test_with_the_bus_down_it_neither_blocks_nor_fails(self) -> None:
        served = server.AgentServer(
            new_conf(),
            self.endpoint,
            host="cache1",
            topic=self.topic,
            transport_url="rabbit://guest:guest@127.0.0.1:1/",
        )
        served.start()
        self.assertFalse(served.started.wait(0.2))
        self.assertTrue(served.stop())
        self.assertTrue(served.wait(1))

import logging
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from nova_cachemig.compute import libvirt_watch
from nova_cachemig.compute.tracker import Lifecycle, Resumed, Started, Suspended
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.faults import Faults


class Domain:
    def __init__(self, uuid: str, state: int = 1) -> None:
        self.uuid, self._state = uuid, state

    def UUIDString(self) -> str:
        return self.uuid

    def state(self) -> tuple[int, int]:
        return self._state, 0


class Connection:
    def __init__(self, libvirt: "FakeLibvirt") -> None:
        self.libvirt = libvirt
        self.callbacks: dict[int, Callable[..., None]] = {}
        self.on_close: Callable[..., None] = lambda *_: None
        self.closed = False

    def registerCloseCallback(self, callback: Callable[..., None], opaque: Any) -> None:
        self.on_close = callback

    def domainEventRegisterAny(self, dom: Any, kind: int, callback: Any, opaque: Any) -> None:
        if not self.libvirt.has_events:
            raise self.libvirt.libvirtError("not supported")
        self.callbacks[kind] = callback

    def setKeepAlive(self, interval: int, count: int) -> None:
        if not self.libvirt.has_keepalive:
            raise self.libvirt.libvirtError("not supported")

    def lookupByUUIDString(self, uuid: str) -> Domain:
        if uuid not in self.libvirt.domains:
            raise self.libvirt.libvirtError("no such domain")
        return self.libvirt.domains[uuid]

    def close(self) -> None:
        self.closed = True

    def lifecycle(self, uuid: str, event: int, detail: int) -> None:
        self.callbacks[0](self, Domain(uuid), event, detail, None)


class FakeLibvirt:
    """As much of the module as is used; each turn of its event loop runs one step of the test."""

    class libvirtError(Exception):
        def __init__(self, text: str, code: int = 38) -> None:
            super().__init__(text)
            self.code = code

        def get_error_code(self) -> int:
            return self.code

    VIR_CONNECT_RO = 1
    VIR_CRED_AUTHNAME = 2
    VIR_CRED_ECHOPROMPT = 4
    VIR_CRED_EXTERNAL = 9
    VIR_CRED_NOECHOPROMPT = 7
    VIR_CRED_PASSPHRASE = 5
    VIR_CRED_REALM = 8
    VIR_DOMAIN_EVENT_ID_LIFECYCLE = 0
    VIR_DOMAIN_RUNNING = 1
    VIR_ERR_AUTH_CANCELLED = 79
    VIR_ERR_AUTH_FAILED = 45
    VIR_ERR_AUTH_UNAVAILABLE = 80

    def __init__(self) -> None:
        self.steps: list[Callable[[], None]] = []
        self.connections: list[Connection] = []
        self.down = False
        self.refuses = False
        self.has_events = self.has_keepalive = True
        self.domains: dict[str, Domain] = {}

    def registerErrorHandler(self, handler: Any, context: Any) -> None: ...

    def virEventRegisterDefaultImpl(self) -> None: ...

    def virEventAddTimeout(self, milliseconds: int, callback: Any, opaque: Any) -> int:
        return 1

    def virEventRemoveTimeout(self, timer: int) -> None: ...

    def virEventRunDefaultImpl(self) -> None:
        self.steps.pop(0)()

    def openAuth(self, uri: str, auth: list[Any], flags: int) -> Connection:
        kinds, supply, opaque = auth
        assert flags == self.VIR_CONNECT_RO
        assert {self.VIR_CRED_AUTHNAME, self.VIR_CRED_PASSPHRASE} <= set(kinds)
        assert supply([], opaque) == 0
        if self.down:
            raise self.libvirtError("cannot connect")
        if self.refuses:
            missing = [[self.VIR_CRED_PASSPHRASE, "Password", "", None, None]]
            assert supply(missing, opaque) == -1
            raise self.libvirtError("authentication failed", self.VIR_ERR_AUTH_FAILED)
        self.connections.append(Connection(self))
        return self.connections[-1]


class LibvirtWatchTest(unittest.TestCase):
    def setUp(self) -> None:
        for name in ("nova_cachemig.rpc.faults", "nova_cachemig.compute.libvirt_watch"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
            self.addCleanup(logging.getLogger(name).setLevel, logging.NOTSET)
        self.now = 0.0
        patch = mock.patch.object(libvirt_watch.time, "monotonic", lambda: self.now)
        patch.start()
        self.addCleanup(patch.stop)
        self.libvirt = FakeLibvirt()
        self.events: list[GuestEvent] = []
        self.warmed = 0
        self.faults = Faults()
        self.watch = libvirt_watch.LibvirtWatch(
            self.libvirt, "test:", "host-a", self.events.append, self._warm, self.faults
        )

    def _warm(self) -> None:
        self.warmed += 1

    def play(self, *steps: Callable[[], None]) -> None:
        self.libvirt.steps = list(steps)
        self.watch.run(lambda: not self.libvirt.steps)

    def now_connection(self) -> Connection:
        return self.libvirt.connections[-1]

    def kinds(self) -> list[EventKind]:
        return [event.kind for event in self.events]

    def test_a_source_reports_the_pause(self) -> None:
        self.play(
            lambda: self.now_connection().lifecycle(
                "uuid-1", Lifecycle.SUSPENDED, Suspended.MIGRATED
            ),
        )
        self.assertEqual([("uuid-1", EventKind.PAUSED)], self.facts())
        self.assertTrue(self.now_connection().closed)

    def test_a_destination_opens_its_channel_before_the_guest_runs(self) -> None:
        def arrived() -> None:
            self.now_connection().lifecycle("uuid-1", Lifecycle.STARTED, Started.MIGRATED)
            self.assertEqual((1, []), (self.warmed, self.events))

        self.play(
            arrived,
            lambda: self.now_connection().lifecycle("uuid-1", Lifecycle.RESUMED, Resumed.MIGRATED),
        )
        self.assertEqual([EventKind.RESUMED], self.kinds())

    def test_a_listener_gets_every_event_and_the_end_of_the_connection(self) -> None:
        listener = mock.Mock()
        self.watch._listener = listener
        self.play(
            lambda: self.now_connection().lifecycle("uuid-1", Lifecycle.STARTED, Started.MIGRATED),
            lambda: self.now_connection().lifecycle("uuid-1", Lifecycle.STOPPED, 3),
            self._lose,
            self._pass(1),
        )
        events = [call.args[1:3] for call in listener.lifecycle.call_args_list]
        self.assertEqual([(Lifecycle.STARTED, Started.MIGRATED), (Lifecycle.STOPPED, 3)], events)
        self.assertEqual(2, listener.lost.call_count)  # and when the watch ends

    def _lose(self) -> None:
        self.now_connection().on_close(self.now_connection(), 1, None)

    def _pass(self, seconds: float) -> Callable[[], None]:
        def step() -> None:
            self.now += seconds

        return step

    def test_a_lost_connection_is_opened_again(self) -> None:
        self.play(self._lose, self._pass(1), self._pass(1))
        self.assertEqual(2, len(self.libvirt.connections))
        self.assertTrue(self.libvirt.connections[0].closed)
        self.assertEqual(1, self.faults.counts()["lost the connection to libvirt"])

    def test_a_libvirtd_that_is_down_is_tried_less_and_less_often(self) -> None:
        self.libvirt.down = True
        self.play(*[self._pass(1)] * 30)
        # After 1, 2, 5, 10, 10 seconds.
        self.assertEqual(6, self.faults.counts()["cannot listen to libvirt"])
        self.libvirt.down = False
        self.play(*[self._pass(1)] * 30)
        self.assertEqual(1, len(self.libvirt.connections))

    def test_a_libvirtd_that_refuses_the_credentials_is_tried_seldom(self) -> None:
        self.libvirt.refuses = True
        with self.assertLogs("nova_cachemig.rpc.faults", "WARNING") as caught:
            self.play(*[self._pass(5)] * 30)
        # After 5, 15, 60, 60 seconds.
        self.assertEqual(5, self.faults.counts()["cannot listen to libvirt"])
        [line] = caught.output
        self.assertIn("auth.conf", line)
        self.libvirt.refuses = False
        self.play(*[self._pass(5)] * 30)
        self.assertEqual(1, len(self.libvirt.connections))

    def test_the_remedy_for_a_libvirtd_that_is_down_does_not_name_credentials(self) -> None:
        self.libvirt.down = True
        with self.assertLogs("nova_cachemig.rpc.faults", "WARNING") as caught:
            self.play(self._pass(1))
        self.assertIn("connection_uri", caught.output[0])
        self.assertNotIn("auth.conf", caught.output[0])

    def test_a_driver_without_keepalive_still_reports_pauses(self) -> None:
        self.libvirt.has_keepalive = False
        self.play(
            lambda: self.now_connection().lifecycle(
                "uuid-1", Lifecycle.SUSPENDED, Suspended.MIGRATED
            )
        )
        self.assertEqual([EventKind.PAUSED], self.kinds())

    def test_a_driver_without_events_is_no_connection(self) -> None:
        self.libvirt.has_events = False
        self.play(self._pass(0))
        self.assertEqual(1, self.faults.counts()["cannot listen to libvirt"])
        self.assertTrue(self.libvirt.connections[0].closed)

    def test_a_switchover_that_failed_unseen_is_found_out(self) -> None:
        def pause() -> None:
            for uuid in ("went-on", "still-paused", "moved"):
                self.now_connection().lifecycle(uuid, Lifecycle.SUSPENDED, Suspended.MIGRATED)
            self.events.clear()
            self.libvirt.domains = {"went-on": Domain("went-on", 1), "still-paused": Domain("x", 3)}

        self.play(pause, self._lose, self._pass(1))
        self.assertEqual([("went-on", EventKind.SWITCHOVER_FAILED)], self.facts())
        self.assertEqual(("still-paused",), self.watch._tracker.paused())

    def facts(self) -> list[tuple[str, EventKind]]:
        return [(event.instance, event.kind) for event in self.events]

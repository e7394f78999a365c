import threading
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from nova_cachemig.rpc import bus, ownership, server
from nova_cachemig.rpc.ownership import Claim, Owner, TopicOwner, judge
from nova_cachemig.rpc.server import RpcServer
from tests.unit.rpc.endpoints import new_conf

US = Owner("cache1", "process-1")


class Judging(unittest.TestCase):
    def test_a_holder_that_does_not_respond_is_a_broken_connection(self) -> None:
        self.assertIs(Claim.STALE, judge(US, None))

    def test_an_earlier_connection_of_this_process_is_no_other_agent(self) -> None:
        self.assertIs(Claim.STALE, judge(US, US))

    def test_another_process_with_the_same_host_name_is_another_agent(self) -> None:
        self.assertIs(Claim.OTHERS, judge(US, Owner("cache1", "process-2")))

    def test_a_malformed_response_comes_from_another_agent(self) -> None:
        for data in (b"", b"[]", b"{}", b"\xff", b'{"host": 1}'):
            self.assertIs(Claim.OTHERS, judge(US, Owner.from_bytes(data)), data)

    def test_an_owner_comes_back_from_the_wire(self) -> None:
        self.assertEqual(US, Owner.from_bytes(US.to_bytes()))


class WithoutRabbit(unittest.TestCase):
    def owner(self, url: str) -> TopicOwner:
        owner = TopicOwner(new_conf(), "t", "cache1", url)
        self.addCleanup(owner.stop)
        owner.start(lambda: None)
        self.assertTrue(owner.wait_decided(5))
        return owner

    def test_on_another_bus_there_is_no_other_agent(self) -> None:
        for url in ("fake://", "not a URL"):
            self.assertIsNone(self.owner(url).other, url)

    def test_a_bus_that_is_down_changes_nothing(self) -> None:
        owner = self.owner("rabbit://u:p@127.0.0.1:1/")
        self.assertIsNone(owner.other)
        self.assertIs(Claim.UNKNOWN, owner.claim)

    def test_one_that_stepped_back_stays_so_while_the_bus_is_down(self) -> None:
        owner = TopicOwner(new_conf(), "t", "cache1", "rabbit://u:p@127.0.0.1:1/")
        owner._set(Claim.OTHERS, Owner("cache2", "process-2"))
        settings = ownership.link.settings(new_conf(), "rabbit://u:p@127.0.0.1:1/")
        assert settings is not None
        self.assertFalse(owner._try(settings, settings.servers[0]))
        self.assertEqual("cache2", owner.other)


class Scripted:
    """An ownership that the test controls."""

    def __init__(self) -> None:
        self.other: str | None = None
        self.stopped = threading.Event()
        self._changed: Callable[[], None] = lambda: None

    def start(self, changed: Callable[[], None]) -> None:
        self._changed = changed

    def wait_decided(self, timeout: float) -> bool:
        return True

    def stop(self) -> None:
        self.stopped.set()

    def report(self, other: str | None) -> None:
        self.other = other
        self._changed()


class Serving(unittest.TestCase):
    def setUp(self) -> None:
        self.ownership = Scripted()
        target = bus.target(self.id(), "1.0", "cache1")
        self.served = RpcServer(new_conf(), target, [], url="fake://", ownership=self.ownership)
        self.noted = threading.Event()
        note = self.served.faults.note

        def noting(*arguments: Any, **options: Any) -> None:
            note(*arguments, **options)
            self.noted.set()

        self.enterContext(mock.patch.object(self.served.faults, "note", noting))
        self.addCleanup(self.served.stop)

    def test_it_does_not_listen_while_another_has_the_topic(self) -> None:
        self.ownership.other = "cache2"
        with self.assertLogs("nova_cachemig.rpc", "ERROR") as logged:
            self.served.start()
            self.assertTrue(self.noted.wait(5))
        self.assertIn("agent cache2 serves this topic: stop one of the two", logged.output[0])
        self.assertFalse(self.served.listening)
        self.assertIn("cache2", self.served.why_not)
        self.ownership.report(None)
        self.assertTrue(self.served.wait_listening(5))
        self.assertEqual("", self.served.why_not)

    def test_it_stops_listening_when_another_gets_the_topic(self) -> None:
        self.served.start()
        self.assertTrue(self.served.wait_listening(5))
        ended = threading.Event()
        end = server._Attempt.end

        def ending(attempt: Any) -> None:
            end(attempt)
            ended.set()

        with (
            mock.patch.object(server._Attempt, "end", ending),
            self.assertLogs("nova_cachemig.rpc", "ERROR"),
        ):
            self.ownership.report("cache2")
            self.assertTrue(ended.wait(5))
        self.assertFalse(self.served.listening)
        self.ownership.report(None)
        self.assertTrue(self.served.wait_listening(5))

    def test_stopping_gives_the_topic_up(self) -> None:
        self.served.start()
        self.assertTrue(self.served.wait_listening(5))
        self.assertTrue(self.served.stop())
        self.assertTrue(self.ownership.stopped.is_set())

import logging
import threading
import time
import unittest
from typing import Any

from nova_cachemig.compute.hook import HookTimeouts, MigrationHook
from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.agent import WarmResponse
from nova_cachemig.rpc.cast_queue import QueuedCast
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from nova_cachemig.rpc.faults import Faults

LOGGER = "nova_cachemig.compute.hook"
READY = WarmResponse(True, "armed", "warm")
NOT_YET = WarmResponse(False, "warming", "warming")


class ScriptedAgent:
    """Responds from a list. A response takes as long as it may, on the test's clock."""

    def __init__(self, test: "HookTest") -> None:
        self.test = test
        self.reported: list[Any] = []
        self.requests: list[tuple[float, float]] = []
        self.responses: list[WarmResponse | Exception] = []
        self.hasty = False  # responds immediately, however long it may wait
        self.delivered = True
        self.error: str | None = None

    def begin(self, *arguments: Any) -> QueuedCast:
        self.reported.append(("begin", *arguments[1:]))
        cast = QueuedCast("begin", {}, 0.0)
        if self.delivered:
            cast.succeeded()
        elif self.error:
            cast.failed(self.error)
        return cast

    def guest_event(self, ctxt: dict[str, str], event: GuestEvent) -> QueuedCast:
        self.reported.append(event)
        return QueuedCast("guest_event", {}, 0.0)

    def wait_warm(
        self, ctxt: dict[str, str], instance: str, request: str, wait: float, *, timeout: float
    ) -> WarmResponse:
        self.requests.append((wait, timeout))
        response = self.responses.pop(0) if self.responses else NOT_YET
        if isinstance(response, UnreachableError):
            self.test.now += timeout
        elif not self.hasty:
            self.test.now += wait
        if isinstance(response, Exception):
            raise response
        return response


def event(kind: EventKind, request: str = "req-1") -> MigrationEvent:
    return MigrationEvent(kind, "uuid-1", request, "host-b", "host-a", f"instance.{kind.value}")


class HookTest(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("nova_cachemig.rpc.faults").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("nova_cachemig.rpc.faults").setLevel, logging.NOTSET)
        self.now = 100.0
        self.agent = ScriptedAgent(self)
        self.hook = self.new_hook(HookTimeouts(warm=30, response=2, retry_after=30))

    def new_hook(self, timeouts: HookTimeouts) -> MigrationHook:
        return MigrationHook(
            self.agent,
            timeouts,
            Faults(),
            clock=lambda: self.now,
            wall=lambda: 1000.5,
            sleep=self.sleep,
        )

    def sleep(self, seconds: float) -> None:
        self.assertGreater(seconds, 0)
        self.now += seconds

    def wait(self, request: str = "req-1") -> tuple[float, str]:
        """Seconds that the hook took at pre.end, and the sentence that it logged."""
        began = self.now
        with self.assertLogs(LOGGER, "INFO") as logged:
            self.hook.handle(event(EventKind.ARM, request))
        [record] = logged.records
        return self.now - began, record.getMessage()

    # -- reports ---------------------------------------------------------------------------

    def test_the_beginning_is_reported_with_both_hosts(self) -> None:
        self.hook.handle(event(EventKind.BEGIN))
        self.assertEqual(
            [("begin", "uuid-1", "req-1", "host-a", "host-b", 1000.5)], self.agent.reported
        )

    def test_the_end_is_reported(self) -> None:
        for kind, reported in (
            (EventKind.COMPLETED, EventKind.COMPLETED),
            (EventKind.FAILED, EventKind.FAILED),
            (EventKind.ROLLED_BACK, EventKind.ROLLED_BACK),
        ):
            self.hook.handle(event(kind))
            self.assertEqual(
                GuestEvent("uuid-1", reported, 1000.5, "host-b", "req-1", f"instance.{kind.value}"),
                self.agent.reported[-1],
            )
        self.assertEqual([], self.agent.requests)

    # -- waiting ---------------------------------------------------------------------------

    def test_a_warm_cache_delays_nothing(self) -> None:
        self.agent.responses = [READY]
        took, sentence = self.wait()
        self.assertEqual(0.0, took)
        self.assertIn("warm (armed)", sentence)

    def test_it_asks_until_the_cache_is_warm(self) -> None:
        self.agent.responses = [NOT_YET, NOT_YET, NOT_YET, READY]
        took, _sentence = self.wait()
        self.assertEqual(6.0, took)
        self.assertEqual([0.0, 2.0, 2.0, 2.0], [wait for wait, _timeout in self.agent.requests])

    def test_it_never_waits_longer_than_the_limit(self) -> None:
        for warm in (1, 2, 3, 7, 30, 300):
            self.hook = self.new_hook(HookTimeouts(warm=warm, response=2, retry_after=0))
            took, sentence = self.wait()
            self.assertLessEqual(took, warm)
            self.assertGreaterEqual(took, warm - 1)
            self.assertIn("not warm", sentence)

    def test_an_agent_that_responds_early_is_not_flooded(self) -> None:
        self.agent.hasty = True
        took, sentence = self.wait()
        self.assertLessEqual(took, 30)
        self.assertIn("not warm", sentence)
        self.assertLess(len(self.agent.requests), 150)

    def test_no_request_outlives_the_limit(self) -> None:
        self.agent.responses = [NOT_YET] * 14 + [UnreachableError("late")] * 9
        took, _sentence = self.wait()
        self.assertLessEqual(took, 30)

    def test_a_response_after_the_limit_is_no_silent_agent(self) -> None:
        self.hook = self.new_hook(HookTimeouts(warm=3, response=2, retry_after=30))
        self.agent.responses = [NOT_YET, UnreachableError("late")]
        took, sentence = self.wait()
        self.assertIn("not warm", sentence)
        self.assertEqual(3.0, took)
        self.agent.responses = [READY]
        self.assertIn("warm (armed)", self.wait("req-2")[1])

    def test_a_silent_agent_costs_one_timeout_and_then_nothing_for_a_while(self) -> None:
        self.agent.responses = [UnreachableError("nobody")]
        took, sentence = self.wait()
        self.assertEqual(2.0, took)
        self.assertIn("nobody", sentence)
        took, sentence = self.wait("req-2")
        self.assertEqual(0.0, took)
        self.assertEqual(1, len(self.agent.requests))
        self.now += 30
        self.agent.responses = [READY]
        self.wait("req-3")
        self.assertEqual(2, len(self.agent.requests))

    def test_an_agent_that_responds_again_is_waited_for_at_once(self) -> None:
        self.agent.responses = [UnreachableError("nobody"), READY]
        self.wait()
        self.hook.agent_responds()
        self.assertIn("warm (armed)", self.wait("req-2")[1])

    def test_an_agent_that_refuses_is_not_waited_for(self) -> None:
        self.agent.responses = [RefusedError("ValueError: no")]
        took, sentence = self.wait()
        self.assertEqual(0.0, took)
        self.assertIn("ValueError: no", sentence)

    def test_a_beginning_that_did_not_go_out_ends_the_wait_at_once(self) -> None:
        self.agent.delivered = False
        self.agent.error = "no agent listens on topic t"
        self.hook.handle(event(EventKind.BEGIN))
        took, sentence = self.wait()
        self.assertEqual((0.0, []), (took, self.agent.requests))
        self.assertIn("no agent listens", sentence)

    def test_a_beginning_that_hangs_is_waited_for_as_long_as_a_response(self) -> None:
        self.agent.delivered = False
        self.hook = MigrationHook(self.agent, HookTimeouts(30, 0.2, 30), Faults())
        self.hook.handle(event(EventKind.BEGIN))
        began = time.monotonic()
        _took, sentence = self.wait()
        self.assertLess(time.monotonic() - began, 0.2 + 1)
        self.assertIn("accepts no messages", sentence)

    def test_zero_never_waits(self) -> None:
        self.hook = self.new_hook(HookTimeouts(warm=0, response=2, retry_after=30))
        self.assertEqual(0.0, self.wait()[0])
        self.assertEqual([], self.agent.requests)

    def test_what_is_remembered_is_bounded(self) -> None:
        for number in range(1000):
            self.hook.handle(event(EventKind.BEGIN, f"req-{number}"))
        self.assertLessEqual(len(self.hook._begun), 100)

    def test_two_migrations_wait_at_once(self) -> None:
        together = threading.Barrier(2)
        self.agent.wait_warm = lambda *a, **k: [READY, READY][together.wait(5)]  # type: ignore
        threads = [
            threading.Thread(target=self.hook.handle, args=(event(EventKind.ARM, name),))
            for name in ("req-1", "req-2")
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(5)
        self.assertFalse(together.broken)

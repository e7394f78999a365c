"""From other threads to the event loop and back: results, deadlines, errors as sentences."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
import unittest
from typing import Any
from unittest import mock

from nova_cachemig.agent import endpoint
from nova_cachemig.agent.endpoint import Endpoint, ReviewEndpoint
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.policy import Policy
from nova_cachemig.model.service import Route, Service
from nova_cachemig.model.write import WriteState
from nova_cachemig.popularity.sampling import RequestSamples
from nova_cachemig.rpc.agent import VERSION


def record(request: str, started: float, instance: str = "u1") -> HandoverRecord:
    identity = HandoverId(instance, request)
    return HandoverRecord(identity, ("shop",), "a", "b", Phase.WARMING, started)


class FakeAgent:
    """Manager, store and registry in one."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.file_errors = ["b.yaml: not YAML"]
        self.under_way: list[HandoverRecord] = []
        self.kept: list[HandoverRecord] = []
        self.error: Exception | None = None

    async def _note(self, *what: Any) -> None:
        self.calls.append(what)
        if self.error is not None:
            raise self.error

    async def begin(self, *arguments: Any) -> None:
        await self._note("begin", *arguments)

    async def guest_event(self, event: GuestEvent) -> None:
        await self._note("guest_event", event)

    async def instance_changed(self, instance: str, change: InstanceChange) -> None:
        await self._note("instance_changed", instance, change)

    async def wait_warm(self, handover: HandoverId, wait: float) -> dict[str, Any]:
        await self._note("wait_warm", handover, wait)
        if wait > 0:
            await asyncio.Event().wait()
        return {"ready": True}

    def route(self, name: str) -> Route | None:
        policy = Policy(defaults=False)
        service = Service(name, "u1", 80, ("192.0.2.1", 80), policy=policy)
        return Route(service, None) if name == "shop" else None

    async def refresh(self, *, force: bool) -> list[str]:
        await self._note("refresh", force)
        return ["no address"]

    async def newest(self, limit: int) -> list[HandoverRecord]:
        return self.kept[:limit]

    def live(self) -> list[HandoverRecord]:
        return self.under_way

    def phases(self) -> dict[str, Phase]:
        return {name: record.phase for record in self.under_way for name in record.services}

    def unreachable(self) -> list[str]:
        return ["shop"]

    def describe(self, phase: Any) -> list[dict[str, Any]]:
        return [{"name": name, "phase": phase(name)} for name in ("till", "shop")]


class LoopCase(unittest.TestCase):
    def setUp(self) -> None:
        self.loop = asyncio.new_event_loop()
        thread = threading.Thread(target=self.loop.run_forever)
        thread.start()
        self.addCleanup(self.loop.close)
        self.addCleanup(thread.join)
        self.addCleanup(self.loop.call_soon_threadsafe, self.loop.stop)


class EndpointTest(LoopCase):
    def setUp(self) -> None:
        super().setUp()
        self.agent = FakeAgent()
        fake: Any = self.agent
        self.endpoint = Endpoint(self.loop, fake, fake, "cache1", fake)

    def test_commands_reach_the_manager(self) -> None:
        event = GuestEvent("u1", EventKind.PAUSED, 1.0)
        self.endpoint.begin({}, HandoverId("u1", "r"), "a", "b", 1.0, 0.0)
        self.endpoint.guest_event({}, event)
        self.assertEqual({"ready": True}, self.endpoint.wait_warm({}, HandoverId("u1", "r"), 0.0))
        self.endpoint.instance_changed({}, "u1", InstanceChange.DELETED)
        self.assertEqual(["no address"], self.endpoint.reload({}))
        self.assertEqual(
            ["begin", "guest_event", "wait_warm", "instance_changed", "refresh"],
            [c[0] for c in self.agent.calls],
        )

    def test_an_error_of_a_component_is_a_sentence_for_the_caller(self) -> None:
        self.agent.error = ComponentError("the disk is full")
        with self.assertRaisesRegex(ValueError, "^the disk is full$"):
            self.endpoint.reload({})

    def test_a_policy_is_proposed_from_the_sampled_requests(self) -> None:
        samples, fake = RequestSamples(), self.endpoint._registry
        request = AccessRecord("shop", "c", "GET", "h", "/a/x.css", 200, 7.0, 0.1, cookies=("sid",))
        samples.record(request)
        own: Any = fake
        asked = Endpoint(self.loop, own, own, "cache1", own, samples)
        found = asked.propose_policy({}, "shop")
        self.assertEqual((7.0, 1, {"defaults": False}), (
            found["since"], found["reads"], found["present"]))  # fmt: skip
        rules = [step["rule"] for step in found["steps"]]
        self.assertEqual([{"paths": ["/a/*.css"], "static": True}], rules)
        self.assertEqual(0, self.endpoint.propose_policy({}, "shop")["requests"])
        with self.assertRaisesRegex(ValueError, "serves no service named x"):
            asked.propose_policy({}, "x")

    def test_a_request_ends_at_its_deadline(self) -> None:
        with (
            mock.patch.object(endpoint, "LOOP_LIMIT", 0.05),
            self.assertRaisesRegex(ValueError, "the agent did not finish within"),
        ):
            self.endpoint.wait_warm({}, HandoverId("u1", "r"), 0.01)

    def test_handovers_in_progress_come_in_their_present_state(self) -> None:
        live = record("r2", 2.0)
        kept = dataclasses.replace(live, phase=Phase.IDLE)
        self.agent.under_way = [live]
        self.agent.kept = [record("r3", 3.0, "u2"), kept, record("r1", 1.0)]
        found = self.endpoint.handovers({}, 10, 0)
        self.assertEqual(["r3", "r2", "r1"], [one.id.request for one in found])
        self.assertIs(live, found[1])
        self.assertEqual(found[1:2], self.endpoint.handovers({}, 1, 1))
        self.assertEqual(live, self.endpoint.handover({}, "u1", None))
        self.assertEqual("r1", self.endpoint.handover({}, "u1", "r1").id.request)  # type: ignore[union-attr]
        self.assertIsNone(self.endpoint.handover({}, "u1", "r9"))

    def test_services_by_name_with_the_phase_of_their_handover(self) -> None:
        self.agent.under_way = [record("r1", 1.0)]
        self.assertEqual(
            [{"name": "shop", "phase": "warming"}, {"name": "till", "phase": "idle"}],
            self.endpoint.services({}),
        )

    def test_ping_reports_whether_the_server_listens(self) -> None:
        self.assertFalse(self.endpoint.ping({})["listening"])
        self.endpoint.server = mock.Mock(listening=True)
        self.endpoint.server.faults.counts.return_value = {"cannot listen": 2}
        found = self.endpoint.ping({})
        self.assertEqual(["b.yaml: not YAML"], found["service_errors"])
        self.assertEqual(("cache1", VERSION, True, {"cannot listen": 2}),
                         (found["host"], found["rpc_version"], found["listening"],
                          found["faults"]))  # fmt: skip
        self.assertEqual(["shop"], found["unreachable"])


class ReviewEndpointTest(LoopCase):
    def test_every_method_reaches_the_review_outside_the_loops_thread(self) -> None:
        threads: set[str] = set()
        review = mock.Mock()
        review.resend.side_effect = lambda *a: threads.add(threading.current_thread().name)
        served = ReviewEndpoint(self.loop, review, content=True)
        served.writes((WriteState.IN_DOUBT,), None, "shop/1", content=True)
        served.write("shop/1")
        served.body("shop/1", 2)
        served.resend("shop/1", "why", "me")
        served.discard("shop/2", "why", "me")
        self.assertEqual(
            [
                mock.call.writes((WriteState.IN_DOUBT,), None, "shop/1", content=True),
                mock.call.write("shop/1"),
                mock.call.body("shop/1", 2),
                mock.call.resend("shop/1", "why", "me"),
                mock.call.discard("shop/2", "why", "me"),
            ],
            review.mock_calls,
        )
        self.assertTrue(threads)
        self.assertNotIn(threading.current_thread().name, threads)

    def test_an_agent_that_does_not_serve_its_journal_says_so(self) -> None:
        served = ReviewEndpoint(self.loop, None, content=False)
        with self.assertRaisesRegex(ValueError, r"\[agent\] serve_journal = none"):
            served.write("shop/1")

    def test_without_content_nothing_that_a_user_sent_leaves_the_agent(self) -> None:
        facts = {
            "write": "shop/1",
            "state": "in_doubt",
            "method": "POST",
            "host": "shop.example",
            "url": "/pay?card=4111",
            "client": "198.51.100.7",
            "idempotency_key": "k",
            "length": 9,
            "headers": [["authorization", "Bearer x"]],
            "body": "c2VjcmV0",
        }
        review = mock.Mock()
        review.write.return_value = facts
        review.writes.return_value = {"writes": [facts], "next": None}
        served = ReviewEndpoint(self.loop, review, content=False)
        shown = {
            "write": "shop/1",
            "state": "in_doubt",
            "method": "POST",
            "host": "shop.example",
            "url": "/pay",
            "length": 9,
        }
        self.assertEqual(shown, served.write("shop/1"))
        page = served.writes((WriteState.IN_DOUBT,), None, None, content=False)
        self.assertEqual([shown], page["writes"])
        with self.assertRaisesRegex(ValueError, r"serve_journal = metadata.*--offline"):
            served.writes((WriteState.IN_DOUBT,), None, None, content=True)
        with self.assertRaisesRegex(ValueError, r"serve_journal = metadata.*--offline"):
            served.body("shop/1", 0)
        self.assertEqual([], review.body.mock_calls)

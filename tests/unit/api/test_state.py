"""The agent on a fake bus: its errors become 503 or 409, and writes come without their content."""

from __future__ import annotations

import oslo_messaging.conffixture

from nova_cachemig.api.errors import ApiError
from nova_cachemig.api.state import AgentState
from nova_cachemig.conf import setup
from nova_cachemig.model.write import WriteState
from tests.unit.api.case import write
from tests.unit.rpc.endpoints import RECORD, CannedReview, OnFakeBus, new_conf


class StateTest(OnFakeBus):
    def setUp(self) -> None:
        super().setUp()
        self.review = CannedReview()
        self.review.canned = {name: write(name) for name in ("shop/1", "shop/2", "shop/3")}

    def state(self, timeout: float = 5.0) -> AgentState:
        conf = new_conf()
        setup.register_all(conf)
        oslo_messaging.conffixture.ConfFixture(conf)  # registers the option
        conf.set_override("transport_url", "fake://")
        conf.set_override("host", "cache1", "agent")
        conf.set_override("topic", self.topic, "agent")
        conf.set_override("agent_timeout", timeout, "api")
        conf.set_override("agent_requests", 1, "api")
        state = AgentState(conf)
        self.addCleanup(state.close)
        return state

    def test_many_questions_are_one_request(self) -> None:
        self.serve()
        state = self.state()
        for _ in range(5):
            self.assertEqual([RECORD], state.handovers())
            self.assertEqual("shop", state.services()[0]["name"])
        self.assertEqual(1, len([c for c in self.endpoint.received if c[0] == "handovers"]))

    def test_writes_in_pages_behind_a_marker(self) -> None:
        self.serve(self.review)
        found = self.state().writes((WriteState.IN_DOUBT,), "shop", "shop/1")
        self.assertEqual(["shop/2", "shop/3"], [facts["write"] for facts in found])
        self.assertEqual(([WriteState.IN_DOUBT], "shop", "shop/1", False), self.review.asked[0])

    def test_one_write(self) -> None:
        self.serve(self.review)
        state = self.state()
        found = state.write("shop", 2)
        assert found is not None
        self.assertEqual("shop/2", found["write"])
        self.assertEqual("shop/1", self.review.asked[-1][2])
        self.assertFalse(self.review.asked[-1][3])  # without the content
        self.assertIsNone(state.write("shop", 0))
        self.assertIsNone(state.write("shop", 9))

    def test_decisions(self) -> None:
        self.serve(self.review)
        state = self.state()
        state.resend("shop/1", "why", "user u")
        state.discard("shop/2", "", "user u")
        self.assertEqual(
            [("resend", "shop/1", "why", "user u"), ("discard", "shop/2", "", "user u")],
            self.review.asked,
        )

    def test_the_agent_refuses(self) -> None:
        self.serve()  # without a journal
        state = self.state()
        with self.assertRaises(ApiError) as caught:
            list(state.writes((WriteState.IN_DOUBT,), None, None))
        self.assertEqual(503, caught.exception.status)
        with self.assertRaises(ApiError) as caught:
            state.discard("shop/1", "", "user u")
        self.assertEqual(409, caught.exception.status)

    def test_the_agent_is_away(self) -> None:
        state = self.state(timeout=0.1)
        for ask in (state.services, state.handovers, lambda: state.write("shop", 1)):
            with self.assertRaises(ApiError) as caught:
                ask()
            self.assertEqual(503, caught.exception.status)
            self.assertNotIn("cache1", caught.exception.detail)

    def test_more_requests_than_the_agent_gets_wait_and_end(self) -> None:
        self.serve(self.review)
        state = self.state(timeout=0.1)
        with state._asking(), self.assertRaises(ApiError) as caught:
            state.write("shop", 1)
        self.assertEqual(503, caught.exception.status)
        self.assertEqual([], self.review.asked)

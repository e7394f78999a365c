"""The journal's contract over oslo.messaging's fake bus."""

from __future__ import annotations

import inspect
import unittest
from typing import Any

import oslo_messaging

from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc import journal
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from tests.unit.rpc.endpoints import CannedReview, OnFakeBus, new_conf

STATES = (WriteState.IN_DOUBT, WriteState.DAMAGED)


class OnTheBus(OnFakeBus):
    def setUp(self) -> None:
        super().setUp()
        self.review = CannedReview()
        self.review.canned = {f"shop/{n}": {"write": f"shop/{n}"} for n in range(1, 6)}

    def journal(self, host: str = "cache1", timeout: float = 5.0) -> journal.JournalClient:
        conf = new_conf()
        conf.register_opts(oslo_messaging.transport._transport_opts)
        conf.set_override("transport_url", "fake://")
        client = journal.JournalClient(conf, self.topic, host, timeout)
        self.addCleanup(client.close)
        return client

    def test_pages_are_joined(self) -> None:
        self.serve(self.review)
        found = list(self.journal().writes(STATES, "shop", content=True))
        self.assertEqual(list(self.review.canned.values()), found)
        self.assertEqual(
            [(list(STATES), "shop", after, True) for after in (None, "shop/2", "shop/4")],
            self.review.asked,
        )

    def test_chunks_are_joined(self) -> None:
        self.serve(self.review)
        self.review.bodies = {"shop/1": [b"a" * 1000, b"", b"z"]}
        self.assertEqual(b"a" * 1000 + b"z", b"".join(self.journal().body("shop/1")))

    def test_one_write_and_decisions(self) -> None:
        self.serve(self.review)
        client = self.journal()
        self.assertEqual({"write": "shop/2"}, client.write("shop/2"))
        client.resend("shop/2", "it is missing", "root@cache1")
        client.discard("shop/3", "", "root@cache1")
        self.assertEqual(
            [
                ("resend", "shop/2", "it is missing", "root@cache1"),
                ("discard", "shop/3", "", "root@cache1"),
            ],
            self.review.asked,
        )

    def test_an_error_is_the_agents_sentence(self) -> None:
        self.serve(self.review)
        with self.assertRaisesRegex(RefusedError, "^the journal has no write shop/99$"):
            self.journal().write("shop/99")

    def test_an_agent_that_is_older_says_so(self) -> None:
        self.serve()
        with self.assertRaisesRegex(RefusedError, "it is older than this program"):
            self.journal().write("shop/1")

    def test_another_node_is_not_asked(self) -> None:
        self.serve(self.review)
        with self.assertRaises(UnreachableError):
            self.journal("cache2", 0.3).write("shop/1")

    def test_the_history_names_the_version_in_force(self) -> None:
        self.assertIn(f"* {journal.VERSION} - ", inspect.getdoc(journal) or "")


class Validation(unittest.TestCase):
    def setUp(self) -> None:
        self.review = CannedReview()
        self.dispatch = journal.Dispatch(self.review)

    def refused(self, method: str, *arguments: Any) -> None:
        with self.assertRaises(oslo_messaging.ExpectedException) as caught:
            getattr(self.dispatch, method)({}, *arguments)
        self.assertIs(ValueError, caught.exception.exc_info[0])

    def test_what_is_malformed_never_reaches_the_journal(self) -> None:
        for states in (None, [], "in_doubt", ["lost"], [3]):
            self.refused("writes", states, None, None, False)
        self.refused("writes", ["in_doubt"], "", None, False)
        self.refused("writes", ["in_doubt"], None, 3, False)
        for chunk in (-1, "0", None, True, 1.0):
            self.refused("body", "shop/1", chunk)
        self.refused("write", None)
        for reason, asked_by in (("x" * 1001, "me"), (None, "me"), ("", ""), ("", None)):
            self.refused("resend", "shop/1", reason, asked_by)
            self.refused("discard", "shop/1", reason, asked_by)
        self.assertEqual([], self.review.asked)

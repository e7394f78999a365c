"""The proof of one page, with a guest that is a function of the request's headers."""

from __future__ import annotations

import random
import unittest
from collections.abc import Callable, Mapping

from nova_cachemig.agent.warm.proof import Verdict
from nova_cachemig.agent.warm.prover import Prover
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError
from nova_cachemig.agent.warm.strangers import strangers
from nova_cachemig.popularity.habits import Habits, Kind

Page = Callable[[Mapping[str, str]], bytes]


class ProverTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        rng = random.Random(1)
        people = strangers(Habits(), Kind.DOCUMENT, "http://shop.example/", ("_ga*",), rng)
        self.prover = Prover(people, rng)
        self.sent: list[Mapping[str, str]] = []
        self.paced = 0
        self.recorded: list[int] = []
        self.status = 200
        self.committed = "committed"

    async def pace(self) -> None:
        self.paced += 1

    def answer(self, page: Page, headers: Mapping[str, str]) -> FetchedResponse:
        if "X-Cachemig-Commit" in headers:
            return FetchedResponse(204, {"x-cachemig-served": self.committed}, 0.0, 0, b"", b"")
        body = page(headers)
        return FetchedResponse(self.status, {}, 0.0, len(body), b"", body)

    async def prove(self, page: Page) -> Verdict:
        async def send(headers: Mapping[str, str]) -> FetchedResponse:
            self.sent.append(headers)
            return self.answer(page, headers)

        first = self.answer(page, self.prover.first_headers())
        self.status = getattr(self, "later", self.status)
        return await self.prover.prove(
            first, send, self.pace, lambda response: self.recorded.append(response.status)
        )

    async def test_a_page_for_all_is_committed_under_its_number(self) -> None:
        nonce = int(self.prover.first_headers()["X-Cachemig-Nonce"])
        self.assertIs(Verdict.PROVED, await self.prove(lambda headers: b"page"))
        *tries, commit = self.sent
        self.assertTrue(all(headers["X-Cachemig-Try"] == "1" for headers in tries))
        self.assertEqual(nonce, int(commit["X-Cachemig-Commit"]) // 8)
        self.assertEqual(1, int(commit["X-Cachemig-Commit"]) & 1)
        self.assertEqual(len(tries), self.paced)
        self.assertEqual([200] * len(tries), self.recorded)

    async def test_a_page_for_one_address_is_not(self) -> None:
        verdict = await self.prove(lambda headers: headers["X-Forwarded-For"].encode())
        self.assertIs(Verdict.DEPENDENT, verdict)
        self.assertFalse(any("X-Cachemig-Commit" in headers for headers in self.sent))

    async def test_a_page_that_changes_with_each_request_is_not(self) -> None:
        rng = random.Random(2)
        self.assertIs(Verdict.CHANGING, await self.prove(lambda headers: rng.randbytes(8)))
        self.assertFalse(any("X-Cachemig-Commit" in headers for headers in self.sent))

    async def test_an_error_of_the_guest_is_no_answer(self) -> None:
        self.later = 503
        with self.assertRaisesRegex(FetchError, "status 503"):
            await self.prove(lambda headers: b"page")

    async def test_an_engine_that_refuses(self) -> None:
        self.committed = "refused"
        with self.assertRaisesRegex(FetchError, "does not take the proof") as caught:
            await self.prove(lambda headers: b"page")
        self.assertTrue(caught.exception.unreachable)

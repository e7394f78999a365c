"""The reports of one connection come in order, the end last."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent.replay.reports import Complete, End, Reports
from nova_cachemig.model.write import Body, GuestResponse

END = End("lost", 1)


class ReportsTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.reports = Reports()
        self.seen: list[object] = []
        self.reports.watch(self.seen.append)

    def add(self, status: int, *, sealed: bool = True) -> Complete:
        def on_response(response: GuestResponse) -> None:
            self.seen.append(response.status)

        made = Complete(on_response, GuestResponse(status, (), Body.of(b"")), sealed)
        self.reports.add(made)
        return made

    async def test_a_response_waits_for_the_one_before_it(self) -> None:
        first = self.add(201, sealed=False)
        self.add(202)
        self.reports.run()
        self.assertEqual([], self.seen)
        first.sealed = True
        self.reports.run()
        self.assertEqual(([201, 202], True), (self.seen, self.reports.empty))

    async def test_the_end_waits_for_all_responses(self) -> None:
        first = self.add(201, sealed=False)
        self.reports.end(END)
        await asyncio.sleep(0)
        self.assertEqual([], self.seen)
        first.sealed = True
        self.reports.run()
        await asyncio.sleep(0)
        self.assertEqual([201, END], self.seen)

    async def test_an_end_before_anybody_watches_is_reported_once(self) -> None:
        reports, seen = Reports(), list[End]()
        reports.end(END)
        await asyncio.sleep(0)
        reports.watch(seen.append)
        reports.run()
        await asyncio.sleep(0)
        self.assertEqual([], seen)  # no callback was set
        reports.end(END)
        reports.watch(seen.append)
        await asyncio.sleep(0)
        self.assertEqual([END], seen)

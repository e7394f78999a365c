"""Methods besides those of forms: reads with a body, and writes that change two pages."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase

READS = ("PROPFIND", "REPORT", "SEARCH", "QUERY", "OPTIONS")


class Methods(EngineCase):
    async def test_reads_are_held_and_not_journalled(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.flip(EdgeState.SHIELDED)
        asked = [
            asyncio.create_task(self.get(f"/{method}", method=method, body=b"<all/>"))
            for method in READS
        ]
        await self.holding(len(READS))
        self.assertEqual([], self.intake.seen)
        await self.flip(EdgeState.REPLAY)
        self.assertEqual({200}, {(await one).status for one in asked})
        self.assertEqual([], self.intake.seen)
        found = {(request.method, request.body) for request in self.guest.seen}
        self.assertEqual({(method, b"<all/>") for method in READS}, found)

    async def test_copy_and_move_change_their_destination(self) -> None:
        self.guest.rules["/to"] = {"Cache-Control": "public, max-age=600"}
        await self.flip(EdgeState.ARMED)
        for method in ("COPY", "MOVE"):
            for destination in ("/to", "http://shop.example/to", "http://www.shop.example/to"):
                with self.subTest(method=method, destination=destination):
                    before = (await self.get("/to")).body
                    headers = {"Destination": destination}
                    await self.get("/from", method=method, headers=headers)
                    self.assertNotEqual(before, (await self.get("/to")).body)

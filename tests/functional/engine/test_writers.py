"""A client that has written, or logged out, gets no page from before. Others keep theirs."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.policy import Policy, Rule
from tests.functional.engine.rig import EngineCase

ANN = {"Cookie": "session=ann"}
BOB = {"Cookie": "session=bob"}
PAGE = "/page"


class Writers(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        policy = Policy(own=(Rule(paths=("/static/*",), static=True),))
        await self.engine.apply([self.route(self.a_service(policy=policy))])
        self.guest.rules[PAGE] = {"Cache-Control": "max-age=600"}
        await self.flip(EdgeState.ARMED)
        for who in (ANN, BOB, {}):
            for url in (PAGE, "/static/a.css"):
                await self.stored(url, headers=who)
                self.assertIsNotNone(await self.found(url, headers=who))

    async def others_keep_their_pages(self) -> None:
        self.assertIsNotNone(await self.found(PAGE, headers=BOB))
        self.assertIsNotNone(await self.found(PAGE))

    async def test_after_a_write_to_another_page(self) -> None:
        await self.get("/form", method="POST", body=b"x", headers=ANN)
        self.assertIsNone(await self.found(PAGE, headers=ANN))
        self.assertIsNotNone(await self.found("/static/a.css", headers=ANN))
        await self.others_keep_their_pages()

    async def test_a_page_that_was_stored_after_it_is_found(self) -> None:
        await self.get("/form", method="POST", body=b"x", headers=ANN)
        await asyncio.sleep(2.1)  # the edge counts whole seconds
        await self.stored("/later", headers=ANN)
        self.assertIsNotNone(await self.found("/later", headers=ANN))
        self.assertIsNone(await self.found(PAGE, headers=ANN))

    async def test_the_cookies_of_the_response_are_the_clients_too(self) -> None:
        self.guest.rules["/login"] = {"Set-Cookie": "session=bob; Path=/"}
        await self.get("/login", method="POST", body=b"x")
        self.assertIsNone(await self.found(PAGE))
        self.assertIsNone(await self.found(PAGE, headers=BOB))
        self.assertIsNotNone(await self.found(PAGE, headers=ANN))

    async def test_after_a_write_of_the_journal(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        await self.get("/form", method="POST", body=b"x", headers=ANN)
        waiting = asyncio.create_task(self.get(PAGE, headers=ANN))
        await self.holding(1)
        self.assertIn("hit", (await self.get(PAGE, headers=BOB)).headers["cache-status"])
        await self.flip(EdgeState.REPLAY)
        self.assertNotIn("cache-status", (await waiting).headers)
        self.assertIn("hit", (await self.get(PAGE, headers=BOB)).headers["cache-status"])

    async def test_a_logout_by_get_ends_the_sessions_pages(self) -> None:
        deleted = {"Set-Cookie": "session=; Max-Age=0; Path=/"}
        for url, fields in (("/sign-out", {}), ("/bye", deleted)):
            with self.subTest(url=url):
                await asyncio.sleep(2.1)
                mine = f"/mine/{len(url)}"
                await self.stored(mine, headers=ANN)
                self.assertIsNotNone(await self.found(mine, headers=ANN))
                self.guest.rules[url] = fields
                await self.get(url, headers=ANN)
                self.assertIsNone(await self.found(mine, headers=ANN))
                self.assertIsNotNone(await self.found(PAGE, headers=BOB))

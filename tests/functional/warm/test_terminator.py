"""The warmer for a site that redirects each request without the headers of a TLS terminator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.servers import Request
from tests.functional.warm.guest import PageGuest
from tests.functional.warm.test_real_cache import WarmCase

TERMINATED = {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"}


class RedirectingGuest(PageGuest):
    """Redirects what is not HTTPS, as many applications do; ``/moved`` is really elsewhere."""

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        status, headers, body = await super()._respond(request)
        if request.url == "/moved":
            return 301, {"Location": "https://shop.example/new"}, b""
        if request.headers.get("x-forwarded-proto") != "https":
            host = request.headers.get("x-forwarded-host", "Shop.example:443")
            return 301, {"Location": f"https://{host}{request.url}#top"}, b""
        return status, headers, body


class TerminatorTest(WarmCase):
    def new_guest(self) -> RedirectingGuest:
        return RedirectingGuest()

    async def learn(self, *urls: str) -> None:
        """Request the pages as through a terminator; the warmer learns from the edge's log."""
        accesses = self.engine.accesses()
        await self.log_is_read()
        for url in urls:
            await self.get(url, headers=TERMINATED)
        async with asyncio.timeout(5):
            for _ in urls:
                self.warmer.record_access(await anext(accesses))

    async def test_pages_are_fetched_as_the_terminator_asks(self) -> None:
        await self.learn("/a", "/b")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual(2, counts.fetched)
        await self.flip(EdgeState.SHIELDED)
        for url in ("/a", "/b"):
            response = await self.get(url, headers=TERMINATED, timeout=2)
            self.assertEqual(200, response.status)
            self.assertIn("hit", response.headers["cache-status"])

    async def test_no_redirect_to_the_same_page_is_stored(self) -> None:
        self.record_access("/a", "/moved", "/")
        await self.flip(EdgeState.ARMED)
        counts = await self.warm()
        self.assertEqual((1, 3), (counts.fetched, counts.uncacheable))  # also /new
        await self.get("/c", headers={"X-Forwarded-Host": "public.example"})
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(["/moved"], await self.hits("/a", "/moved", "/", "/c"))

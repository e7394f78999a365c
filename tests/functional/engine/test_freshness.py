"""Stale pages while the guest is reachable, and the time until a page is stale."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from email.utils import formatdate

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Guest, Request, Response

ALL = (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN)


class ValidatingGuest(Guest):
    """Its pages have an ETag, and it responds 304 to a request with the same one."""

    def __init__(self) -> None:
        super().__init__()
        self.etag = '"one"'
        self.conditions: list[str] = []  # of the requests, in order

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        condition = request.headers.get("if-none-match", "")
        self.conditions.append(condition)
        status, headers, body = await super()._respond(request)
        headers = {**headers, "ETag": self.etag}
        return (304, headers, b"") if condition == self.etag else (status, headers, body)


class StalePages(EngineCase):
    guest: ValidatingGuest

    def new_guest(self) -> ValidatingGuest:
        return ValidatingGuest()

    async def stale(self, url: str, control: str) -> Response:
        """Have a page stored while armed that is stale when this returns."""
        self.guest.rules[url] = {"Cache-Control": control}
        await self.flip(EdgeState.ARMED)
        page = await self.stored(url)
        await asyncio.sleep(1.1)
        return page

    async def test_the_silence_uses_a_stale_page_and_the_replay_does_not(self) -> None:
        before = await self.stale("/a", "max-age=1")
        found = await self.found("/a")
        assert found is not None
        self.assertEqual(before.body, found.body)
        for state in (EdgeState.REPLAY, EdgeState.DRAIN):
            await self.flip(state)
            self.guest.etag = f'"{state}"'
            page = await self.get("/a")
            self.assertEqual(str(len(self.guest.seen)), page.body.decode())
            self.assertNotIn("cache-status", page.headers)
            await asyncio.sleep(1.1)

    async def test_the_guest_says_that_a_page_is_still_right(self) -> None:
        for url, control in (("/a", "max-age=1"), ("/b", "max-age=1, must-revalidate")):
            with self.subTest(control):
                before = await self.stale(url, control)
                await self.flip(EdgeState.REPLAY)
                self.guest.conditions.clear()
                again = await self.get(url)
                self.assertEqual(['"one"'], self.guest.conditions)
                self.assertEqual((200, before.body), (again.status, again.body))
                self.assertNotIn("age", again.headers)
                self.assertIn("; hit;", (await self.get(url)).headers["cache-status"])
                self.assertEqual(1, len(self.guest.conditions))

    async def test_the_response_can_permit_a_stale_page(self) -> None:
        before = await self.stale("/a", "max-age=1, stale-while-revalidate=3")
        await self.flip(EdgeState.REPLAY)
        self.guest.etag = '"two"'
        page = await self.get("/a")
        self.assertEqual(before.body, page.body)
        await asyncio.sleep(3.1)
        self.assertNotEqual(before.body, (await self.get("/a")).body)

    async def test_the_guest_gets_no_condition_of_the_cache_while_armed(self) -> None:
        await self.stale("/a", "max-age=1, must-revalidate")
        self.guest.conditions.clear()
        await asyncio.sleep(10)  # a page is stored at most once in this time
        await self.stored("/a")
        self.assertEqual(["", ""], self.guest.conditions)


class Limits(EngineCase):
    """Limits of the freshness of a page that Varnish ignores."""

    async def fresh(self, **fields: str) -> bool:
        """Whether a page with these fields is fresh after 1.1 seconds."""
        url = f"/{len(self.guest.rules)}"
        self.guest.rules[url] = {name.replace("_", "-"): text for name, text in fields.items()}
        await self.get(url)
        await asyncio.sleep(1.1)
        return "cache-status" in (await self.get(url)).headers

    async def test_which_pages_are_fresh(self) -> None:
        await self.flip(EdgeState.REPLAY)
        long = {"Cache_Control": "max-age=600"}
        self.assertTrue(await self.fresh(**long))
        for name in ("CDN_Cache_Control", "Surrogate_Control"):
            self.assertFalse(await self.fresh(**long, **{name: "max-age=1"}), name)
            self.assertTrue(await self.fresh(**long, **{name: "max-age=60"}), name)
            self.assertFalse(await self.fresh(**long, Age="30", **{name: "max-age=20"}), name)
        for quoted in ('ext="max-age=600", max-age=1', 'max-age=1, ext="a, max-age=600"'):
            self.assertFalse(await self.fresh(Cache_Control=quoted), quoted)
        self.assertTrue(await self.fresh(Cache_Control='ext="a", max-age=600'))

    async def test_expires_is_compared_with_the_guests_clock(self) -> None:
        await self.flip(EdgeState.REPLAY)
        for offset in (-3600, 0, 3600):
            date = time.time() + offset
            fields = {"Date": formatdate(date, usegmt=True)}
            for seconds, expected in ((600, True), (0, False)):
                fields["Expires"] = formatdate(date + seconds, usegmt=True)
                with self.subTest(offset=offset, seconds=seconds):
                    self.assertEqual(expected, await self.fresh(**fields))
            fields["Expires"] = formatdate(date + 20, usegmt=True)
            self.assertFalse(await self.fresh(**fields, Age="25"), offset)

    async def test_a_content_range_without_a_range_passes(self) -> None:
        self.guest.rules["/a"] = {"Content-Range": "pages 1-2/3", "Cache-Control": "max-age=60"}
        for state in ALL:
            with self.subTest(state=state):
                await self.flip(state)
                for _ in range(2):
                    page = await self.get("/a")
                    self.assertEqual(
                        (200, "pages 1-2/3"), (page.status, page.headers["content-range"])
                    )
                    self.assertFalse([name for name in page.headers if name.startswith("x-cache")])
        part = await self.get("/a", headers={"Range": "bytes=0-0"})
        self.assertEqual(206, part.status)
        self.assertRegex(part.headers["content-range"], "^bytes 0-0/[0-9]+$")

"""Writes and reads: invalidated pages, and reads that wait for a write."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.engine import names
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import fetch
from tests.functional.ports import free_port


class Barrier(EngineCase):
    async def test_an_invalidation_applies_to_all_cookies(self) -> None:
        await self.flip(EdgeState.ARMED)
        jars = [{}, {"Cookie": "a=1"}, {"Cookie": "a=2"}]
        for jar in jars:
            await self.stored("/a?q=1", headers=jar)
            self.assertIsNotNone(await self.found("/a?q=1", headers=jar))
        await self.invalidate("Shop.example", ["/a?q=1", "/never-seen"])
        for jar in jars:
            self.assertIsNone(await self.found("/a?q=1", headers=jar))
        for jar in jars:
            await self.stored("/a?q=1", headers=jar)
            self.assertIsNotNone(await self.found("/a?q=1", headers=jar))

    async def test_an_invalidation_applies_to_all_host_names(self) -> None:
        await self.flip(EdgeState.ARMED)
        hosts = [{"Host": "shop.example"}, {"Host": "www.shop.example:8080"}]
        for host in hosts:
            await self.stored("/a", headers=host)
            self.assertIsNotNone(await self.found("/a", headers=host))
        await self.invalidate("", ["/a"])  # an HTTP/1.0 client may name no host
        for host in hosts:
            self.assertIsNone(await self.found("/a", headers=host))

    async def test_an_earlier_fetch_does_not_store_the_old_page(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        self.guest.delays["/a"] = 0.4
        self.guest.arrived.clear()
        old = asyncio.create_task(self.get("/a"))
        await self.guest.asked()
        await self.invalidate("shop.example", ["/a"])
        await old
        self.assertIsNone(await self.found("/a"))

    async def test_pending_holds_reads_of_the_key_only(self) -> None:
        await self.flip(EdgeState.ARMED)
        for key in ("url:/a?x=;|\\ <<", "client:127.0.0.1"):
            with self.subTest(key=key):
                await self.set_pending(key, True)
                await self.set_pending(key, True)
                url = "/plain" if key.startswith("client") else "/a?x=;|\\%20<<"
                if key.startswith("url"):
                    await self.set_pending("url:" + url, True)
                    self.assertEqual(200, (await self.get("/free")).status)
                waiting = asyncio.create_task(self.get(url))
                await self.holding(1)
                await self.set_pending("url:" + url, False)
                await self.set_pending(key, False)
                self.assertEqual(200, (await waiting).status)

    async def test_pending_ends_with_the_handover(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.set_pending("url:/a", True)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await self.get("/a", timeout=2)).status)
        await self.flip(EdgeState.ARMED)
        self.assertEqual(200, (await self.get("/a", timeout=2)).status)

    async def test_a_cookie_can_identify_a_client(self) -> None:
        service = self.a_service(client_cookie="sid")
        await self.engine.apply([self.route(service)])
        await self.flip(EdgeState.REPLAY)
        await self.get("/w", method="POST", body=b"x", headers={"Cookie": "b=2; sid=secret; c=3"})
        client = self.intake.seen[0].headers["x-cachemig-client"]
        self.assertRegex(client, "^cookie-[0-9a-f]{40}$")
        await self.set_pending(f"client:{client}", True)
        self.assertEqual(200, (await self.get("/a", headers={"Cookie": "sid=other"})).status)
        waiting = asyncio.create_task(self.get("/a", headers={"Cookie": "sid=secret"}))
        await self.holding(1)
        await self.set_pending(f"client:{client}", False)
        self.assertEqual(200, (await waiting).status)

    async def test_one_tenants_written_pages_leave_those_of_another(self) -> None:
        edge = ("127.0.0.1", free_port())
        other = self.a_service("other", listen=edge)
        await self.engine.apply([self.route(self.service), self.route(other)])
        for state in (EdgeState.ARMED, EdgeState.SHIELDED):
            await self.engine.set_state("other", state)
            if state is EdgeState.ARMED:
                for _ in range(2):
                    page = await fetch(edge, "/a")
        await self.flip(EdgeState.ARMED)
        await self.stored("/a")
        for start in range(0, 5200, 400):
            urls = [f"/p{n}" for n in range(start, start + 400)]
            await self.invalidate("shop.example", urls)
        epochs = self.engine._edge.maps["epochs"]
        await epochs.load()
        self.assertLessEqual(len(epochs.entries), names.MAX_EPOCHS + names.BUCKETS)
        self.assertEqual(page.body, (await fetch(edge, "/a", timeout=2)).body)
        self.assertIsNone(await self.found("/a"))  # of the tenant itself

    async def test_with_very_many_pending_keys_each_still_holds(self) -> None:
        await self.flip(EdgeState.ARMED)
        many = {f"url:/many/{n}": True for n in range(5_000)}
        await self.engine.update_barrier(SERVICE, {}, many)
        for key, url in (("url:/late", "/late"), ("client:127.0.0.1", "/any")):
            await self.set_pending(key, True)
            waiting = asyncio.create_task(self.get(url))
            await self.holding(1)
            await self.engine.update_barrier(SERVICE, {}, dict.fromkeys(many, False))
            await self.holding(1)
            await self.set_pending(key, False)
            self.assertEqual(200, (await waiting).status)
            await self.engine.update_barrier(SERVICE, {}, many)

"""Isolation of tenants and clients from each other."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Guest, fetch, loopback, read_head


class Hosts(EngineCase):
    """Two services share a front address."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.other = Guest()
        await self.other.start(loopback())
        self.addAsyncCleanup(self.other.stop)
        self.service = self.a_service("one", hosts=("one.example", "www.one.example"))
        await self.engine.apply(
            [
                self.route(self.service),
                Route(self.a_service("two", hosts=("two.example",)), self.other.target),
            ]
        )

    async def raw(self, text: str) -> tuple[int, dict[str, str]]:
        reader, writer = await asyncio.open_connection(*self.edge)
        try:
            writer.write(text.encode("latin-1"))
            first, headers = await asyncio.wait_for(read_head(reader), 5)
            return int(first.split()[1]), headers
        finally:
            writer.close()

    async def test_the_host_selects_the_service(self) -> None:
        for host in ("one.example", "ONE.example", "www.one.example:8080", "One.Example:80"):
            self.assertEqual(200, (await self.get("/a", headers={"Host": host})).status)
        self.assertEqual(4, len(self.guest.seen))
        self.assertEqual(200, (await self.get("/a", headers={"Host": "two.example"})).status)
        self.assertEqual((4, 1), (len(self.guest.seen), len(self.other.seen)))

    async def test_an_unknown_host_gets_421(self) -> None:
        for host in ("three.example", "", "one.example.evil", "one.example|x", "127.0.0.1"):
            response = await self.get("/a", headers={"Host": host})
            self.assertIn(response.status, (421, 400), host)
        self.assertEqual((0, 0), (len(self.guest.seen), len(self.other.seen)))

    async def test_ambiguous_hosts_are_refused(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            twice, _ = await self.raw(
                "GET / HTTP/1.1\r\nHost: one.example\r\nHost: two.example\r\n\r\n"
            )
            self.assertEqual(400, twice)
            differs, _ = await self.raw(
                "GET http://two.example/x HTTP/1.1\r\nHost: one.example\r\n\r\n"
            )
            self.assertEqual(400, differs)
            self.assertEqual((0, 0), (len(self.guest.seen), len(self.other.seen)))
            same, _ = await self.raw(
                "GET http://one.example/x HTTP/1.1\r\nHost: one.example\r\n\r\n"
            )
            self.assertEqual(200, same)
            self.assertEqual((1, 0), (len(self.guest.seen), len(self.other.seen)))
            self.guest.seen.clear()

    async def test_an_absolute_url_is_the_same_page(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.stored("/p", headers={"Host": "one.example"})
        await self.flip(EdgeState.SHIELDED)
        status, headers = await self.raw(
            "GET http://one.example/p HTTP/1.1\r\nHost: one.example\r\n\r\n"
        )
        self.assertEqual(200, status)
        self.assertIn("hit", headers.get("cache-status", ""), first)

    async def test_the_edge_alone_sets_its_headers(self) -> None:
        evil = {
            "Host": "one.example",
            "X-Cachemig-Service": "two",
            "x-cachemig-state": "shielded",
            "X-CACHEMIG-Client": "10.9.9.9",
            "X-Cachemig-Generation": "1",
            "X-Cachemig-Epoch": "1",
        }
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            await self.flip(state)
            self.assertEqual(200, (await self.get("/a", headers=evil)).status)
            response = await self.get("/w", method="POST", body=b"x", headers=evil)
            self.assertEqual(200, response.status)
        self.assertFalse([n for r in self.guest.seen for n in r.headers if "cachemig" in n])
        self.assertEqual("one", self.intake.seen[0].headers["x-cachemig-service"])
        self.assertEqual("127.0.0.1", self.intake.seen[0].headers["x-cachemig-client"])
        self.assertEqual([], self.other.seen)

    async def test_a_guest_cannot_set_the_edges_headers(self) -> None:
        self.guest.rules["/a"] = {
            "X-Cachemig-Cut": "1",
            "X-Cachemig-Error": "guest",
            "X-Cachemig-Status": "425",
        }
        self.guest.statuses["/425"] = 425
        await self.flip(EdgeState.ARMED)
        response = await self.get("/a", headers={"Host": "one.example"})
        self.assertEqual((200, 1), (response.status, self.guest.count("/a")))
        response = await self.get("/425", headers={"Host": "one.example"}, timeout=5)
        self.assertEqual((425, 1), (response.status, self.guest.count("/425")))

    async def test_the_same_page_of_two_services_is_two_pages(self) -> None:
        await self.engine.set_state("one", EdgeState.ARMED)
        await self.engine.set_state("two", EdgeState.ARMED)
        for _ in range(2):
            await self.get("/same", headers={"Host": "one.example"})
        self.other.bodies["/same"] = b"two"
        response = await self.get("/same", headers={"Host": "two.example"})
        self.assertEqual(b"two", response.body)

    async def test_a_bad_host_is_refused_during_a_handover(self) -> None:
        await self.engine.apply([Route(self.a_service("three"), self.guest.target)])
        await self.engine.set_state("three", EdgeState.ARMED)
        response = await self.get("/x", headers={"Host": "a|/x"})
        self.assertEqual(400, response.status)

    async def test_half_closing_clients_are_served_in_pass(self) -> None:
        self.guest.delays["/a"] = 0.2
        reader, writer = await asyncio.open_connection(*self.edge)
        writer.write(b"GET /a HTTP/1.1\r\nHost: one.example\r\n\r\n")
        writer.write_eof()
        first, _ = await asyncio.wait_for(read_head(reader), 5)
        self.assertIn("200", first)
        writer.close()


class Storing(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.flip(EdgeState.ARMED)

    async def shared(self, url: str, **kwargs: object) -> bool:
        """Return whether a second client gets the stored response of the first one."""
        await self.stored(url, **kwargs)
        return await self.found(url) is not None

    async def test_private_responses_are_never_shared(self) -> None:
        rules = {
            "/private": {"Cache-Control": "private, max-age=60"},
            "/no-store": {"Cache-Control": "no-store"},
            "/no-cache": {"Cache-Control": "no-cache"},
            "/cookie": {"Set-Cookie": "sid=1", "Cache-Control": "max-age=60"},
            "/vary": {"Vary": "*", "Cache-Control": "max-age=60"},
            "/zero": {"Cache-Control": "max-age=0, must-revalidate"},
            "/shared0": {"Cache-Control": "s-maxage=0, max-age=60"},
        }
        self.guest.rules.update(rules)
        for url in rules:
            self.assertFalse(await self.shared(url), url)
        self.guest.rules["/auth"] = {"Cache-Control": "max-age=60"}
        self.assertFalse(await self.shared("/auth", headers={"Authorization": "Basic x"}))
        self.assertFalse(await self.shared("/mine", headers={"Cookie": "sid=1"}))

    async def test_other_responses_are_shared(self) -> None:
        self.guest.rules["/fresh"] = {"Cache-Control": "max-age=60"}
        self.guest.rules["/stale"] = {"Cache-Control": "max-age=0"}
        self.guest.rules["/must"] = {"Cache-Control": "max-age=60, must-revalidate"}
        for url in ("/fresh", "/stale", "/must", "/silent"):
            self.assertTrue(await self.shared(url), url)

    async def test_must_revalidate_is_not_served_stale(self) -> None:
        self.guest.rules["/must"] = {"Cache-Control": "max-age=1, must-revalidate"}
        self.guest.rules["/may"] = {"Cache-Control": "max-age=1"}
        before = {url: (await self.stored(url)).body for url in ("/must", "/may")}
        await asyncio.sleep(1.2)
        self.assertIsNone(await self.found("/must"))
        stale = await self.found("/may")
        assert stale is not None
        self.assertEqual(before["/may"], stale.body)
        self.assertRegex(stale.headers["cache-status"], r"^cachemig; hit; ttl=-?\d+$")

    async def test_the_guests_age_and_cache_status_stay(self) -> None:
        self.guest.rules["/a"] = {
            "Age": "7",
            "Cache-Status": "inside; fwd=miss",
            "Cache-Control": "max-age=60",
        }
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            for _ in range(3):
                first = await self.get("/a")
                self.assertEqual(
                    ("7", "inside; fwd=miss"),
                    (first.headers["age"], first.headers["cache-status"]),
                )
        hit = await self.found("/a")
        assert hit is not None
        self.assertGreaterEqual(int(hit.headers["age"]), 7)
        self.assertRegex(hit.headers["cache-status"], r"^inside; fwd=miss, cachemig; hit; ttl=\d+$")
        plain = await self.get("/none")
        self.assertNotIn("age", plain.headers)
        self.assertNotIn("via", plain.headers)
        self.assertNotIn("x-varnish", plain.headers)

    async def test_ranges_heads_and_conditions_are_served_from_the_cache(self) -> None:
        self.guest.bodies["/f"] = bytes(range(200))
        self.guest.rules["/f"] = {"ETag": '"e1"', "Cache-Control": "max-age=60"}
        await self.stored("/f")
        await self.flip(EdgeState.SHIELDED)
        part = await self.get("/f", headers={"Range": "bytes=10-19"})
        self.assertEqual((206, bytes(range(10, 20))), (part.status, part.body))
        same = await self.get("/f", headers={"If-None-Match": '"e1"'})
        self.assertEqual(304, same.status)
        head = await self.get("/f", method="HEAD")
        self.assertEqual((200, "200"), (head.status, head.headers["content-length"]))

    async def test_large_bodies_are_forwarded(self) -> None:
        body = bytes(range(256)) * (20 << 12)  # 20 MiB: longer than max_object_size
        self.guest.bodies["/large"] = body
        for _ in range(2):
            self.assertEqual(body, (await self.get("/large")).body)
        self.assertEqual(2, self.guest.count("/large"))

    async def test_a_refresh_that_stalls_delays_no_hit(self) -> None:
        await self.stored("/a")
        self.guest.gates["/a"] = asyncio.Event()
        self.guest.arrived.clear()
        headers = {**warm_headers(SERVICE, "shop.example"), "Cache-Control": "no-cache"}
        refresh = asyncio.create_task(fetch(self.engine.cache_socket, "/a", headers=headers))
        await self.guest.asked()
        await self.flip(EdgeState.SHIELDED)
        for _ in range(5):
            self.assertEqual(200, (await self.get("/a", timeout=2)).status)
        self.guest.gates["/a"].set()
        await refresh

    async def test_an_error_does_not_replace_a_stored_page(self) -> None:
        first = await self.stored("/a")
        self.guest.statuses["/a"] = 500
        headers = warm_headers(SERVICE, "shop.example")
        await fetch(self.engine.cache_socket, "/a", headers=headers)
        self.guest.statuses.clear()
        again = await self.found("/a")
        assert again is not None
        self.assertEqual(first.body, again.body)

    async def test_warming(self) -> None:
        self.guest.rules["/private"] = {"Cache-Control": "private"}
        self.guest.rules["/fresh"] = {"Cache-Control": "max-age=60"}

        async def warm(url: str) -> str | None:
            return (await self.warm_page(url)).headers.get("x-cachemig-served")

        self.assertEqual("stored", await warm("/a"))
        await asyncio.sleep(0.05)  # without freshness information it is fresh for 1 ms
        self.assertEqual("stored", await warm("/a"))  # again
        self.assertEqual("stored", await warm("/fresh"))
        self.assertEqual("pass", await warm("/private"))
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual("refused", await warm("/a"))
        hit = await self.get("/a", headers={"Accept-Encoding": "gzip, br"})
        self.assertIn("hit", hit.headers["cache-status"])
        await self.flip(EdgeState.PASS)
        self.assertEqual("refused", await warm("/a"))

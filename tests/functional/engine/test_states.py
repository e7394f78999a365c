"""The treatment of a service's requests in each state, with real engines."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from unittest import mock

from nova_cachemig.agent.engine import names
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.write import STATUS_PREFIX
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Request, Response, fetch, read_head, until
from tests.functional.ports import free_port

WRITING = ("POST", "PUT", "DELETE", "PATCH", "PURGE", "BREW")


class Reads(EngineCase):
    async def test_pass_forwards_and_stores_nothing(self) -> None:
        first = await self.get("/a")
        second = await self.get("/a")
        self.assertEqual([200, 200], [first.status, second.status])
        self.assertNotEqual(first.body, second.body)
        self.assertNotIn("cache-status", second.headers)

    async def test_no_page_of_an_earlier_handover_is_served(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.stored("/a")
        await self.flip(EdgeState.PASS)
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/a"))
        await self.holding(1)
        await self.flip(EdgeState.REPLAY)
        self.assertNotEqual(first.body, (await waiting).body)

    async def test_shielded_serves_hits_without_the_guest(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.stored("/a")
        await self.flip(EdgeState.SHIELDED)
        before = len(self.guest.seen)
        hits = [await self.get("/a") for _ in range(20)]
        self.assertEqual({200}, {hit.status for hit in hits})
        self.assertLess(max(hit.seconds for hit in hits), 0.2)
        self.assertEqual(before, len(self.guest.seen))

    async def test_each_kind_of_read_is_held_until_the_state_leaves_shielded(self) -> None:
        for after in (EdgeState.REPLAY, EdgeState.PASS):
            with self.subTest(after=after):
                await self.flip(EdgeState.SHIELDED)
                before = len(self.guest.seen)
                waiting = [
                    asyncio.create_task(self.get(f"/{after}/page")),
                    asyncio.create_task(self.get(f"/{after}/o", method="OPTIONS")),
                    asyncio.create_task(self.get(f"/{after}/h", method="HEAD")),
                    asyncio.create_task(self.get(f"/{after}/b", body=b"question")),
                    asyncio.create_task(self.get("/e", headers={"Accept": "text/event-stream"})),
                    asyncio.create_task(self.get("/auth", headers={"Authorization": "Basic x"})),
                ]
                await self.holding(len(waiting))
                self.assertEqual(before, len(self.guest.seen))
                await self.flip(after)
                responses = await asyncio.gather(*waiting)
                self.assertEqual({200}, {response.status for response in responses})
                self.assertEqual(before + len(waiting), len(self.guest.seen))
                await self.flip(EdgeState.PASS)

    async def test_during_the_replay_no_recent_page_is_refreshed(self) -> None:
        permitted = {"Cache-Control": "max-age=0, stale-while-revalidate=600"}
        self.guest.rules["/new"] = permitted
        self.guest.rules["/old"] = {"Age": "60", **permitted}
        await self.flip(EdgeState.ARMED)
        for url in ("/new", "/old"):
            await self.stored(url)
        await self.flip(EdgeState.REPLAY)
        for url in ("/new", "/old"):
            self.assertIn("cachemig; hit", (await self.get(url)).headers["cache-status"])
        await until(lambda: self.guest.count("/old") > 2)
        self.assertEqual(2, self.guest.count("/new"))

    async def test_held_reads_of_one_page_are_one_fetch(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        self.guest.delays["/hot"] = 0.3
        waiting = [asyncio.create_task(self.get("/hot")) for _ in range(40)]
        await self.holding(40)
        await self.flip(EdgeState.REPLAY)
        responses = await asyncio.gather(*waiting)
        self.assertEqual(1, len({response.body for response in responses}))
        self.assertLessEqual(self.guest.count("/hot"), 2)  # one, and perhaps a background refresh

    async def held_pages(self, number: int, delay: float) -> list[asyncio.Task[Response]]:
        await self.flip(EdgeState.SHIELDED)
        pages = [f"/held/{n}" for n in range(number)]
        self.guest.delays.update(dict.fromkeys(pages, delay))
        waiting = [asyncio.create_task(self.get(page)) for page in pages]
        await self.holding(number)
        self.guest.connections = self.guest.most = 0
        await self.flip(EdgeState.REPLAY)
        return waiting

    async def test_a_guest_that_returns_gets_few_reads_at_a_time(self) -> None:
        responses = await asyncio.gather(*await self.held_pages(40, 0.02))
        self.assertEqual({200}, {response.status for response in responses})
        self.assertEqual(8, self.guest.most)
        self.assertLess(self.guest.connections, 12)

    async def test_a_slow_guest_gets_all_reads_after_half_a_second(self) -> None:
        waiting = await self.held_pages(40, 3)
        await until(lambda: self.guest.responding == 40, 2)
        responses = await asyncio.gather(*waiting)
        self.assertEqual({200}, {response.status for response in responses})

    async def test_a_read_is_sent_again_if_the_guest_closes_its_connection(self) -> None:
        self.guest.closes_idle = True
        await self.flip(EdgeState.REPLAY)
        responses = [await self.get(f"/{number}") for number in range(20)]
        self.assertEqual({200}, {response.status for response in responses})
        self.assertEqual(20, self.guest.connections)

    async def test_a_hold_ends_when_its_client_leaves(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        for path in ("/page", "/other"):
            method = "GET" if path == "/page" else "OPTIONS"
            _, writer = await asyncio.open_connection(*self.edge)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
            await self.holding(1)
            writer.close()
            await self.holding(0)
            counts = await self.engine.counts(self.service.name)
            self.assertEqual(0, counts.holding_now)


class ShortHold(EngineCase):
    options = {"hold_timeout": 1}

    async def test_a_hold_ends_with_503_and_retry_after(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        page, other = await asyncio.gather(self.get("/a"), self.get("/a", method="OPTIONS"))
        for response in (page, other):
            self.assertEqual(503, response.status)
            self.assertEqual("5", response.headers["retry-after"])
            self.assertTrue(0.9 < response.seconds < 1.5, response.seconds)
            self.assertFalse([n for n in response.headers if n.startswith("x-cachemig")])
        await self.flip(EdgeState.DRAIN)
        self.assertEqual(503, (await self.get("/w", method="POST", body=b"x")).status)

    async def test_counts(self) -> None:
        await self.log_is_read()
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        await self.get("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.get("/a")
        waiting = asyncio.create_task(self.get("/b"))
        await self.holding(1)
        self.assertEqual(503, (await waiting).status)
        await until(lambda: self.engine._counters.get(SERVICE).failed)
        counts = await self.engine.counts(SERVICE)
        self.assertEqual((1, 1, 1, 1), (counts.hits, counts.misses, counts.held, counts.failed))
        self.assertTrue(0.9 < counts.longest_wait < 1.5, counts.longest_wait)


class Writes(EngineCase):
    async def test_pass_forwards(self) -> None:
        for method in WRITING:
            response = await self.get("/w", method=method, body=b"x")
            self.assertNotIn("x-from", response.headers)
        self.assertEqual(list(WRITING), [request.method for request in self.guest.seen])
        self.assertEqual([], self.intake.seen)

    async def test_shielded_and_replay_go_to_the_intake(self) -> None:
        for state in (EdgeState.SHIELDED, EdgeState.REPLAY):
            await self.flip(state)
            for method in WRITING:
                response = await self.get("/w?x=1", method=method, body=b"body")
                self.assertEqual("intake", response.headers["x-from"])
        self.assertEqual(2 * len(WRITING), len(self.intake.seen))
        request = self.intake.seen[0]
        self.assertEqual(("/w?x=1", b"body"), (request.url, request.body))
        self.assertEqual("shop%20%2F%20%C3%A9%C3%A9n", request.headers["x-cachemig-service"])
        self.assertEqual("127.0.0.1", request.headers["x-cachemig-client"])
        self.assertEqual("shop.example", request.headers["x-cachemig-host"])
        self.assertEqual("shop.example", request.headers["host"])

    async def test_drain_holds_until_the_state_changes(self) -> None:
        await self.flip(EdgeState.DRAIN)
        waiting = asyncio.create_task(self.get("/w", method="POST", body=b"x"))
        await self.holding(1)
        self.assertEqual([], self.intake.seen)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await waiting).status)
        self.assertEqual([], self.intake.seen)
        self.assertEqual(1, self.guest.count("/w"))

    async def test_the_absolute_form_of_a_url_is_another_form_of_the_same_page(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        for scheme in ("http", "HTTPS"):
            url = f"{scheme}://shop.example/w?x=1"
            await self.get(url, method="PUT", body=b"x", timeout=5)
        await self.get(f"http://shop.example{STATUS_PREFIX}abc", timeout=5)
        self.assertEqual(["/w?x=1"] * 2 + [f"{STATUS_PREFIX}abc"],
                         [request.url for request in self.intake.seen])  # fmt: skip

    async def test_a_body_longer_than_any_buffer_arrives_whole(self) -> None:
        await self.flip(EdgeState.REPLAY)
        body = bytes(range(256)) * 4096
        self.assertEqual(200, (await self.get("/w", method="PUT", body=body)).status)
        self.assertEqual(body, self.intake.seen[0].body)

    async def test_a_direct_write_that_ends_in_a_handover_makes_its_pages_stale(self) -> None:
        self.guest.delays["/slow"] = 0.5
        self.guest.rules["/slow"] = {"Location": "http://SHOP.example/made?x=1#top"}
        self.guest.arrived.clear()
        writing = asyncio.create_task(self.get("/slow", method="POST", body=b"x"))
        await self.guest.asked()
        await self.flip(EdgeState.ARMED)
        self.guest.delays.clear()
        pages = ("/slow", "/made?x=1", "/other")
        before = {page: (await self.stored(page)).body for page in pages}
        await writing
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(before["/other"], (await self.get("/other")).body)
        waiting = [asyncio.create_task(self.get(page)) for page in pages[:2]]
        await self.holding(2)
        await self.flip(EdgeState.REPLAY)
        for page, task in zip(pages, waiting, strict=False):
            self.assertNotEqual(before[page], (await task).body)

    async def test_so_does_one_that_ends_with_an_error(self) -> None:
        self.guest.delays["/slow"] = 0.5
        self.guest.arrived.clear()
        writing = asyncio.create_task(self.get("/slow", method="PUT", body=b"x"))
        await self.guest.asked()
        await self.flip(EdgeState.ARMED)
        self.guest.delays.clear()
        await self.stored("/slow")
        self.assertIsNotNone(await self.found("/slow"))
        self.guest.statuses["/slow"] = 500  # the guest may have applied it nevertheless
        self.assertEqual(500, (await writing).status)
        self.guest.statuses.clear()
        self.assertIsNone(await self.found("/slow"))


class ArmedWrites(EngineCase):
    """While the guest is reachable, writes are as without the node, and no old page is served."""

    async def test_they_go_to_the_guest_and_do_not_wait_for_each_other(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.delays["/poll"] = 1.5
        long = [asyncio.create_task(self.get("/poll", method="POST")) for _ in range(8)]
        await until(lambda: self.guest.responding == 8)
        for method in WRITING:
            response = await self.get("/w", method=method, body=b"x")
            self.assertEqual(200, response.status)
            self.assertLess(response.seconds, 0.5)
        self.assertEqual({200}, {one.status for one in await asyncio.gather(*long)})
        self.assertEqual([], self.intake.seen)

    async def test_the_first_byte_of_the_response_does_not_wait_for_the_last(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.gates["/stream"] = asyncio.Event()
        self.guest.bodies["/stream"] = b"12345"
        reader, writer = await asyncio.open_connection(*self.edge)
        writer.write(b"POST /stream HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 0\r\n\r\n")
        async with asyncio.timeout(2):
            await read_head(reader)
            self.assertEqual(b"1234", await reader.readexactly(4))
        self.guest.gates["/stream"].set()
        self.assertEqual(b"5", await reader.readexactly(1))
        writer.close()

    async def test_an_upgrade_passes(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.statuses["/attach"] = 101
        self.guest.rules["/attach"] = {"Connection": "Upgrade", "Upgrade": "tcp"}
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        response = await self.get("/attach", method="POST", headers=headers)
        self.assertEqual((101, "tcp"), (response.status, response.headers["upgrade"]))

    async def test_no_read_gets_the_page_from_before_a_write(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/w"] = {"Cache-Control": "max-age=600"}
        for status in (200, 500):
            with self.subTest(status=status):
                await self.warm("/w")
                self.assertIsNotNone(await self.found("/w"))
                self.guest.delays["/w"] = 0.6
                self.guest.statuses["/w"] = status
                writing = asyncio.create_task(self.get("/w", method="PUT", body=b"x"))
                await until(lambda: self.guest.responding)
                self.guest.delays.clear()
                self.guest.statuses.clear()
                self.assertIsNone(await self.found("/w"))
                await self.warm("/w")
                self.assertIsNone(await self.found("/w"))
                await writing
                self.assertIsNone(await self.found("/w"))
                # The client that wrote gets a page only if its fetch began in a later second.
                async with asyncio.timeout(10):
                    while await self.found("/w") is None:
                        await self.warm("/w")

    async def warm(self, url: str) -> None:
        """Fetch a page as the warmer does."""
        await self.warm_page(url)

    async def test_a_write_without_a_response_may_be_applied_later(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/w"] = {"Cache-Control": "max-age=600"}
        respond = self.guest._handler

        async def cut(request: Request) -> tuple[int, Mapping[str, str], bytes]:
            if request.method == "PUT":
                raise ConnectionResetError
            return await respond(request)

        self.guest._handler = cut
        await self.warm("/w")
        self.assertEqual(502, (await self.get("/w", method="PUT", body=b"x")).status)
        await self.nothing_is_stored("/w")

    async def test_a_write_whose_client_leaves_may_be_applied_later(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/w"] = {"Cache-Control": "max-age=600"}
        await self.warm("/w")
        self.guest.delays["/w"] = 1.0
        _, writer = await asyncio.open_connection(*self.edge)
        writer.write(b"PUT /w HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 1\r\n\r\nx")
        await until(lambda: self.guest.responding)
        self.guest.delays.clear()
        writer.close()
        await asyncio.sleep(0.2)
        await self.nothing_is_stored("/w")
        self.assertEqual(1, self.guest.responding)

    async def nothing_is_stored(self, url: str) -> None:
        """The silence finds no page, also after users and the warmer have fetched it."""
        self.assertIsNone(await self.found(url))
        await self.stored(url)
        await self.warm(url)
        self.assertIsNone(await self.found(url))

    async def test_a_page_named_by_location_is_fetched_again(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/made"] = {"Cache-Control": "max-age=600"}
        self.guest.rules["/make"] = {"Location": "/made"}
        await self.stored("/made")
        self.assertIsNotNone(await self.found("/made"))
        await self.get("/make", method="POST", body=b"x")
        self.assertIsNone(await self.found("/made"))

    async def test_the_warmer_learns_which_page_was_written(self) -> None:
        await self.log_is_read()
        written: list[tuple[str, str]] = []
        self.engine.on_write = lambda service, url: written.append((service, url))
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        await self.get("/w?x=1", method="POST", body=b"x")
        await until(lambda: written)
        self.assertEqual([(SERVICE, "/w?x=1")], written)

    async def test_a_write_that_is_in_flight_at_the_pause_leaves_no_old_page(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.rules["/w"] = {"Cache-Control": "max-age=600"}
        before = await self.stored("/w")
        self.guest.delays["/w"] = 0.5
        writing = asyncio.create_task(self.get("/w", method="PUT", body=b"x"))
        await until(lambda: self.guest.responding)
        self.guest.delays.clear()
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/w"))
        await self.holding(1)
        self.assertEqual(200, (await writing).status)
        await self.flip(EdgeState.REPLAY)
        self.assertNotEqual(before.body, (await waiting).body)


class ManyWritten(EngineCase):
    async def asyncSetUp(self) -> None:
        with mock.patch.object(names, "MAX_EPOCHS", 50):
            await super().asyncSetUp()

    async def test_the_entries_of_written_pages_are_bounded(self) -> None:
        await self.flip(EdgeState.ARMED)
        for start in range(0, 400, 50):
            urls = [f"/n/{number}" for number in range(start, start + 50)]
            await asyncio.gather(*(self.get(url, method="PUT", body=b"x") for url in urls))
        epochs = self.engine._edge.maps["epochs"]
        await epochs.load()
        self.assertLessEqual(len(epochs.entries), 50 + names.BUCKETS)
        await self.flip(EdgeState.PASS)
        await epochs.load()
        self.assertEqual({}, epochs.entries)
        await self.flip(EdgeState.ARMED)
        await self.get("/n/1", method="PUT", body=b"x")
        await epochs.load()
        self.assertEqual({names.pending_key(SERVICE, "url:/n/1")}, epochs.entries.keys())

    async def test_those_of_a_service_that_has_left_its_handover_go(self) -> None:
        other = self.a_service("other", listen=("127.0.0.1", free_port()))
        await self.engine.apply([self.route(self.service), self.route(other)])
        await self.engine.set_state(other.name, EdgeState.ARMED)
        await fetch(other.listen, "/o", method="PUT", body=b"x")
        epochs = self.engine._edge.maps["epochs"]
        for _ in range(3):
            await self.flip(EdgeState.ARMED)
            urls = [f"/n/{number}" for number in range(70)]
            await asyncio.gather(*(self.get(url, method="PUT", body=b"x") for url in urls))
            await epochs.load()
            self.assertGreater(len(epochs.entries), 50)
            await self.flip(EdgeState.PASS)
            async with asyncio.timeout(60):
                while len(epochs.entries) > 1:
                    await asyncio.sleep(0.1)
                    await epochs.load()
            self.assertEqual({names.pending_key(other.name, "url:/o")}, epochs.entries.keys())


class Leniency(EngineCase):
    """A request that passes without a handover passes in one."""

    async def in_each_state(self, expected: int, url: str, **kwargs: object) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            for method in ("GET", "POST"):
                with self.subTest(state=state, method=method):
                    await self.flip(state)
                    response = await self.get(url, method=method, timeout=10, **kwargs)
                    self.assertEqual(expected, response.status)

    async def test_many_header_fields(self) -> None:
        await self.in_each_state(200, "/a", headers={f"X-{n}": "1" for n in range(250)})

    async def test_a_large_cookie(self) -> None:
        await self.in_each_state(200, "/a", headers={"Cookie": "c=" + "x" * 16_000})

    async def test_a_long_url(self) -> None:
        await self.in_each_state(200, "/a?" + "x" * 16_000)

    async def test_the_limits(self) -> None:
        await self.in_each_state(431, "/a", headers={f"X-{n}": "1" for n in range(270)})
        await self.in_each_state(431, "/a?" + "x" * 37_500)
        large = {f"X-{n}": "x" * 9_300 for n in range(2)}
        await self.in_each_state(200, "/a?" + "x" * 5_000, headers=large)

    async def test_http_1_0_without_host(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.SHIELDED, EdgeState.REPLAY):
            for request in (
                b"GET /a HTTP/1.0\r\n\r\n",
                b"PUT /a HTTP/1.0\r\nContent-Length: 1\r\n\r\nx",
            ):
                if (state, request[:1]) == (EdgeState.SHIELDED, b"G"):
                    continue  # held
                with self.subTest(state=state, request=request):
                    await self.flip(state)
                    reader, writer = await asyncio.open_connection(*self.edge)
                    writer.write(request)
                    self.assertIn("200", (await read_head(reader))[0])
                    writer.close()

    async def test_grpc_over_http_1_1_and_grpc_web_are_writes(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        for kind in ("application/grpc", "application/grpc+proto", "application/grpc-web+proto"):
            headers = {"Content-Type": kind}
            response = await self.get("/w", method="POST", body=b"x", headers=headers, timeout=5)
            self.assertEqual("intake", response.headers["x-from"])


class StatusUrls(EngineCase):
    async def test_the_agent_responds_in_every_state(self) -> None:
        url = f"{STATUS_PREFIX}abc?x=1"
        for state in EdgeState:
            with self.subTest(state):
                await self.flip(state)
                await self.set_pending("client:127.0.0.1", True)
                self.intake.seen.clear()
                response = await self.get(url, timeout=5)
                self.assertEqual((200, "intake"), (response.status, response.headers["x-from"]))
                request = self.intake.seen[0]
                self.assertEqual(url, request.url)
                self.assertEqual(
                    "shop%20%2F%20%C3%A9%C3%A9n", request.headers["x-cachemig-service"]
                )

    async def test_without_an_agent_it_is_503_and_not_a_page_of_the_guest(self) -> None:
        await self.intake.stop()
        for state in EdgeState:
            with self.subTest(state):
                await self.flip(state)
                response = await self.get(f"{STATUS_PREFIX}abc", timeout=5)
                self.assertEqual(503, response.status)
                self.assertEqual("5", response.headers["retry-after"])
        self.assertEqual([], self.guest.seen)


class Inner(EngineCase):
    async def test_the_guest_socket_accepts_reads_and_writes(self) -> None:
        headers = {"X-Cachemig-Service": "shop%20%2F%20%C3%A9%C3%A9n"}
        where = str(self.root / "guest.sock")
        for method in ("GET", "POST"):
            response = await fetch(where, "/x", method=method, headers=headers, body=b"")
            self.assertEqual(200, response.status)
        self.assertFalse([n for r in self.guest.seen for n in r.headers if "cachemig" in n])

"""What a service's requests meet in each state, with real engines."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Answer, fetch, until

WRITING = ("POST", "PUT", "DELETE", "PATCH", "PURGE", "BREW")


class Reads(EngineCase):
    async def test_pass_goes_straight_and_stores_nothing(self) -> None:
        first = await self.get("/a")
        second = await self.get("/a")
        self.assertEqual([200, 200], [first.status, second.status])
        self.assertNotEqual(first.body, second.body)
        self.assertNotIn("cache-status", second.headers)

    async def test_armed_answers_stale_and_refreshes_behind(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.get("/a")
        second = await self.get("/a")
        self.assertEqual(first.body, second.body)
        self.assertIn("cachemig; hit", second.headers["cache-status"])
        self.assertIn("age", second.headers)
        async with asyncio.timeout(5):
            while self.guest.count("/a") < 2:  # it may have been fresh, for its millisecond
                await self.get("/a")

    async def test_nothing_of_an_earlier_handover_is_served(self) -> None:
        await self.flip(EdgeState.ARMED)
        first = await self.get("/a")
        await self.flip(EdgeState.PASS)
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/a"))
        await self.holding(1)
        await self.flip(EdgeState.REPLAY)
        self.assertNotEqual(first.body, (await waiting).body)

    async def test_shielded_serves_hits_and_asks_the_guest_nothing(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        await self.flip(EdgeState.SHIELDED)
        before = len(self.guest.seen)
        hits = [await self.get("/a") for _ in range(20)]
        self.assertEqual({200}, {hit.status for hit in hits})
        self.assertLess(max(hit.seconds for hit in hits), 0.2)
        self.assertEqual(before, len(self.guest.seen))

    async def test_each_kind_of_read_is_held_and_goes_when_the_state_leaves_shielded(self) -> None:
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
                answers = await asyncio.gather(*waiting)
                self.assertEqual({200}, {answer.status for answer in answers})
                self.assertEqual(before + len(waiting), len(self.guest.seen))
                await self.flip(EdgeState.PASS)

    async def test_while_the_journal_is_replayed_no_recent_page_is_refreshed(self) -> None:
        self.guest.rules["/old"] = {"Age": "60"}
        await self.flip(EdgeState.ARMED)
        for url in ("/new", "/old"):
            await self.get(url)
        await asyncio.sleep(0.05)  # without freshness information it is fresh for 1 ms
        await self.flip(EdgeState.REPLAY)
        for url in ("/new", "/old"):
            self.assertIn("cachemig; hit", (await self.get(url)).headers["cache-status"])
        await until(lambda: self.guest.count("/old") > 1)
        self.assertEqual(1, self.guest.count("/new"))
        await self.flip(EdgeState.ARMED)
        await self.get("/new")
        await until(lambda: self.guest.count("/new") > 1)

    async def test_held_reads_of_one_page_do_not_stampede(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        self.guest.delays["/hot"] = 0.3
        waiting = [asyncio.create_task(self.get("/hot")) for _ in range(40)]
        await self.holding(40)
        await self.flip(EdgeState.REPLAY)
        answers = await asyncio.gather(*waiting)
        self.assertEqual(1, len({answer.body for answer in answers}))
        self.assertLessEqual(self.guest.count("/hot"), 2)  # one, and perhaps a refresh behind it

    async def held_pages(self, number: int, delay: float) -> list[asyncio.Task[Answer]]:
        await self.flip(EdgeState.SHIELDED)
        pages = [f"/held/{n}" for n in range(number)]
        self.guest.delays.update(dict.fromkeys(pages, delay))
        waiting = [asyncio.create_task(self.get(page)) for page in pages]
        await self.holding(number)
        self.guest.connections = self.guest.most = 0
        await self.flip(EdgeState.REPLAY)
        return waiting

    async def test_a_guest_that_is_back_gets_few_reads_at_a_time(self) -> None:
        answers = await asyncio.gather(*await self.held_pages(40, 0.02))
        self.assertEqual({200}, {answer.status for answer in answers})
        self.assertEqual(8, self.guest.most)
        self.assertLess(self.guest.connections, 12)

    async def test_a_slow_guest_gets_them_all_after_a_while(self) -> None:
        waiting = await self.held_pages(40, 3)
        await until(lambda: self.guest.answering == 40, 2)
        answers = await asyncio.gather(*waiting)
        self.assertEqual({200}, {answer.status for answer in answers})

    async def test_a_read_is_sent_again_where_the_guest_closes_its_connection(self) -> None:
        self.guest.closes_idle = True
        await self.flip(EdgeState.REPLAY)
        answers = [await self.get(f"/{number}") for number in range(20)]
        self.assertEqual({200}, {answer.status for answer in answers})
        self.assertEqual(20, self.guest.connections)

    async def test_a_client_that_leaves_frees_its_hold(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        for path in ("/page", "/other"):
            method = "GET" if path == "/page" else "OPTIONS"
            _, writer = await asyncio.open_connection(*self.edge)
            writer.write(f"{method} {path} HTTP/1.1\r\nHost: shop.example\r\n\r\n".encode())
            await self.holding(1)
            writer.close()
            await self.holding(0)


class ShortHold(EngineCase):
    options = {"hold_timeout": 1}

    async def test_a_hold_ends_with_503_and_retry_after(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        page, other = await asyncio.gather(self.get("/a"), self.get("/a", method="OPTIONS"))
        for answer in (page, other):
            self.assertEqual(503, answer.status)
            self.assertEqual("5", answer.headers["retry-after"])
            self.assertTrue(0.9 < answer.seconds < 1.5, answer.seconds)
            self.assertFalse([n for n in answer.headers if n.startswith("x-cachemig")])
        await self.flip(EdgeState.DRAIN)
        self.assertEqual(503, (await self.get("/w", method="POST", body=b"x")).status)

    async def test_counts(self) -> None:
        await self.engine_listens()
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        await self.get("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.get("/a")
        waiting = asyncio.create_task(self.get("/b"))
        await self.holding(1)
        self.assertEqual(503, (await waiting).status)
        await until(lambda: self.engine._counters.of(SERVICE).failed)
        counts = await self.engine.counts(SERVICE)
        self.assertEqual((2, 1, 1, 1), (counts.hits, counts.misses, counts.held, counts.failed))
        self.assertTrue(0.9 < counts.longest_wait < 1.5, counts.longest_wait)


class Writes(EngineCase):
    async def test_pass_goes_straight(self) -> None:
        for method in WRITING:
            answer = await self.get("/w", method=method, body=b"x")
            self.assertNotIn("x-from", answer.headers)
        self.assertEqual(list(WRITING), [request.method for request in self.guest.seen])
        self.assertEqual([], self.intake.seen)

    async def test_armed_shielded_and_replay_go_to_the_intake(self) -> None:
        for state in (EdgeState.ARMED, EdgeState.SHIELDED, EdgeState.REPLAY):
            await self.flip(state)
            for method in WRITING:
                answer = await self.get("/w?x=1", method=method, body=b"body")
                self.assertEqual("intake", answer.headers["x-from"])
        self.assertEqual(3 * len(WRITING), len(self.intake.seen))
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

    async def test_a_body_longer_than_any_buffer_arrives_whole(self) -> None:
        await self.flip(EdgeState.ARMED)
        body = bytes(range(256)) * 4096
        self.assertEqual(200, (await self.get("/w", method="PUT", body=body)).status)
        self.assertEqual(body, self.intake.seen[0].body)

    async def test_straight_writes_in_flight_are_counted(self) -> None:
        self.assertEqual(0, await self.engine.writes_in_flight(SERVICE))
        self.guest.delays["/slow"] = 0.5
        self.guest.arrived.clear()
        waiting = asyncio.create_task(self.get("/slow", method="POST", body=b"x"))
        await self.guest.asked()
        self.assertEqual(1, await self.engine.writes_in_flight(SERVICE))
        await waiting
        self.assertEqual(0, await self.engine.writes_in_flight(SERVICE))

    async def test_a_straight_write_answered_during_a_handover_makes_its_page_stale(self) -> None:
        self.guest.delays["/slow"] = 0.5
        self.guest.rules["/slow"] = {"Location": "http://SHOP.example/made?x=1#top"}
        self.guest.arrived.clear()
        writing = asyncio.create_task(self.get("/slow", method="POST", body=b"x"))
        await self.guest.asked()
        await self.flip(EdgeState.ARMED)
        self.guest.delays.clear()
        pages = ("/slow", "/made?x=1", "/other")
        before = {page: (await self.get(page)).body for page in pages}
        await writing
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(before["/other"], (await self.get("/other")).body)
        waiting = [asyncio.create_task(self.get(page)) for page in pages[:2]]
        await self.holding(2)
        await self.flip(EdgeState.REPLAY)
        for page, task in zip(pages, waiting, strict=False):
            self.assertNotEqual(before[page], (await task).body)


class Keys(EngineCase):
    async def test_invalidate_is_in_force_at_once_for_all_cookies(self) -> None:
        await self.flip(EdgeState.ARMED)
        jars = [{}, {"Cookie": "a=1"}, {"Cookie": "a=2"}]
        before = [(await self.get("/a?q=1", headers=jar)).body for jar in jars]
        await self.engine.invalidate(SERVICE, "Shop.example", ["/a?q=1", "/never-seen"])
        after = [(await self.get("/a?q=1", headers=jar)).body for jar in jars]
        self.assertFalse(set(before) & set(after))
        again = [(await self.get("/a?q=1", headers=jar)).body for jar in jars]
        self.assertEqual(after, again)

    async def test_a_fetch_that_began_before_is_not_stored_for_later(self) -> None:
        await self.flip(EdgeState.ARMED)
        self.guest.delays["/a"] = 0.4
        self.guest.arrived.clear()
        old = asyncio.create_task(self.get("/a"))
        await self.guest.asked()
        await self.engine.invalidate(SERVICE, "shop.example", ["/a"])
        first = await old
        self.assertNotEqual(first.body, (await self.get("/a")).body)

    async def test_pending_holds_reads_of_the_key_only(self) -> None:
        await self.flip(EdgeState.ARMED)
        for key in ("url:/a?x=;|\\ <<", "client:127.0.0.1"):
            with self.subTest(key=key):
                await self.engine.pending(SERVICE, key, True)
                await self.engine.pending(SERVICE, key, True)
                url = "/plain" if key.startswith("client") else "/a?x=;|\\%20<<"
                if key.startswith("url"):
                    await self.engine.pending(SERVICE, "url:" + url, True)
                    self.assertEqual(200, (await self.get("/free")).status)
                waiting = asyncio.create_task(self.get(url))
                await self.holding(1)
                await self.engine.pending(SERVICE, "url:" + url, False)
                await self.engine.pending(SERVICE, key, False)
                self.assertEqual(200, (await waiting).status)

    async def test_pending_ends_with_the_handover(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.engine.pending(SERVICE, "url:/a", True)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await self.get("/a", timeout=2)).status)
        await self.flip(EdgeState.ARMED)
        self.assertEqual(200, (await self.get("/a", timeout=2)).status)

    async def test_a_client_may_be_named_by_a_cookie(self) -> None:
        service = self.a_service(client_cookie="sid")
        await self.engine.apply([self.route(service)])
        await self.flip(EdgeState.ARMED)
        await self.get("/w", method="POST", body=b"x", headers={"Cookie": "b=2; sid=secret; c=3"})
        client = self.intake.seen[0].headers["x-cachemig-client"]
        self.assertRegex(client, "^cookie-[0-9a-f]{40}$")
        await self.engine.pending(SERVICE, f"client:{client}", True)
        self.assertEqual(200, (await self.get("/a", headers={"Cookie": "sid=other"})).status)
        waiting = asyncio.create_task(self.get("/a", headers={"Cookie": "sid=secret"}))
        await self.holding(1)
        await self.engine.pending(SERVICE, f"client:{client}", False)
        self.assertEqual(200, (await waiting).status)

    async def test_many_written_pages_forget_the_rest_and_stay_right(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.get("/a")
        for start in range(0, 5200, 400):
            urls = [f"/p{n}" for n in range(start, start + 400)]
            await self.engine.invalidate(SERVICE, "shop.example", urls)
        self.assertNotEqual(before.body, (await self.get("/a")).body)


class Inner(EngineCase):
    async def test_the_guest_socket_takes_reads_and_writes(self) -> None:
        headers = {"X-Cachemig-Service": "shop%20%2F%20%C3%A9%C3%A9n"}
        for method in ("GET", "POST"):
            answer = await fetch(
                self.engine.guest_socket, "/x", method=method, headers=headers, body=b""
            )
            self.assertEqual(200, answer.status)
        self.assertFalse([n for r in self.guest.seen for n in r.headers if "cachemig" in n])

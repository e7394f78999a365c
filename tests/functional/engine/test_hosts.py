"""The host of a request: one, valid, and the service's own, in every phase."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import Guest, loopback, read_head
from tests.functional.ports import free_port

ONE = "Host: one.example"
BAD = (
    f"GET / HTTP/1.1\r\n{ONE}\r\nHost: two.example",
    "GET / HTTP/1.1\r\nHost: one.example, two.example",
    "GET / HTTP/1.1\r\nHost: two.example, one.example",
    "GET / HTTP/1.1\r\nHost: one.example two.example",
    "GET / HTTP/1.1\r\nHost: user@one.example",
    "GET / HTTP/1.1\r\nHost: user:secret@one.example",
    "GET / HTTP/1.1\r\nHost: one.example/path",
    "GET / HTTP/1.1\r\nHost: one.example#x",
    "GET / HTTP/1.1\r\nHost: one.example?x",
    "GET / HTTP/1.1\r\nHost: one.example\\@two.example",
    "GET / HTTP/1.1\r\nHost: one.example|/x",
    "GET / HTTP/1.1\r\nHost: one%2eexample",
    "GET / HTTP/1.1\r\nHost: \u00f6ne.example",
    "GET / HTTP/1.1\r\nHost: .one.example",
    "GET / HTTP/1.1\r\nHost: one..example",
    "GET / HTTP/1.1\r\nHost: one.example:80:80",
    "GET / HTTP/1.1\r\nHost: one.example:eighty",
    "GET / HTTP/1.1\r\nHost: one.example:123456",
    "GET / HTTP/1.1\r\nHost: :80",
    "GET / HTTP/1.1\r\nHost: [::1",
    f"GET / HTTP/1.1\r\nHost: {'a' * 60}.{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}",
    f"GET http://two.example/ HTTP/1.1\r\n{ONE}",
    f"GET http://two.example:80/ HTTP/1.1\r\n{ONE}",
    f"GET HTTP://two.example/ HTTP/1.1\r\n{ONE}",
    f"GET http://user@one.example/ HTTP/1.1\r\n{ONE}",
    "GET http://user@one.example/ HTTP/1.0",
    f"GET http://one.example:8080/ HTTP/1.1\r\n{ONE}",
    f"GET http://two.example?x HTTP/1.1\r\n{ONE}",
    f"GET ftp://two.example/ HTTP/1.1\r\n{ONE}",
    f"GET ftp://one.example/ HTTP/1.1\r\n{ONE}",
    f"GET path HTTP/1.1\r\n{ONE}",
)
SAME = (
    f"GET /p HTTP/1.1\r\n{ONE}",
    "GET /p HTTP/1.1\r\nHost: ONE.Example",
    "GET /p HTTP/1.1\r\nHost: one.example.",
    "GET /p HTTP/1.1\r\nHost: one.example:80",
    "GET /p HTTP/1.1\r\nHost: one.example.:80",
    "GET /p HTTP/1.1\r\nHost: one.example:",
    f"GET http://one.example/p HTTP/1.1\r\n{ONE}",
    f"GET http://ONE.example:80/p HTTP/1.1\r\n{ONE}",
    "GET http://one.example/p HTTP/1.0",
)
OTHER_PORT = (
    "GET /p HTTP/1.1\r\nHost: one.example:8080",
    "GET /p HTTP/1.1\r\nHost: one.example.:8080",
)


class HostCase(EngineCase):
    async def raw(self, request: str) -> int:
        """Send the head of a request; return the status."""
        reader, writer = await asyncio.open_connection(*self.edge)
        try:
            writer.write(f"{request}\r\n\r\n".encode("latin-1"))
            first, _ = await asyncio.wait_for(read_head(reader), 5)
            return int(first.split()[1])
        finally:
            writer.close()


class SharedAddress(HostCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.other = Guest()
        await self.other.start(loopback())
        self.addAsyncCleanup(self.other.stop)
        self.service = self.a_service("one", hosts=("one.example", "www.one.example"))
        other = self.a_service("two", hosts=("two.example",))
        await self.engine.apply([self.route(self.service), Route(other, self.other.target)])

    async def test_any_other_host_is_refused_in_every_state(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.SHIELDED, EdgeState.REPLAY):
            await self.flip(state)
            for request in BAD:
                with self.subTest(state=state, request=request):
                    self.assertEqual(400, await self.raw(request))
            nobody = await self.raw("GET / HTTP/1.0")
            self.assertEqual(421, nobody)
        self.assertEqual((0, 0), (len(self.guest.seen), len(self.other.seen)))

    async def test_all_spellings_of_a_host_are_served(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
            await self.flip(state)
            for request in (*SAME, *OTHER_PORT):
                with self.subTest(state=state, request=request):
                    self.assertEqual(200, await self.raw(request))
        self.assertEqual([], self.other.seen)

    async def test_all_spellings_of_a_host_name_one_page(self) -> None:
        await self.flip(EdgeState.ARMED)
        for _ in range(2):  # the second response is stored
            self.assertEqual(200, await self.raw(SAME[0]))
        await self.flip(EdgeState.SHIELDED)
        count = len(self.guest.seen)
        for request in SAME:
            with self.subTest(request=request):
                self.assertEqual(200, await self.raw(request))
        self.assertEqual(count, len(self.guest.seen))

    async def test_the_guest_gets_the_host_as_sent(self) -> None:
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            self.assertEqual(200, await self.raw(SAME[4]))
            self.assertEqual("one.example.:80", self.guest.seen[-1].headers["host"])

    async def test_a_page_for_an_unusual_spelling_is_not_stored(self) -> None:
        await self.flip(EdgeState.ARMED)
        for number, request in enumerate((SAME[4], SAME[4], SAME[0]), 1):
            self.assertEqual(200, await self.raw(request))
            self.assertEqual(number, len(self.guest.seen))


class OwnAddress(HostCase):
    async def test_a_host_is_not_needed(self) -> None:
        named = self.a_service("named", hosts=("one.example",), listen=("127.0.0.1", free_port()))
        await self.engine.apply([self.route(self.service), self.route(named)])
        for service in (self.service, named):
            self.edge = service.listen
            for state in (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY):
                await self.engine.set_state(service.name, state)
                with self.subTest(service=service.name, state=state):
                    self.assertEqual(200, await self.raw("GET /p HTTP/1.0"))
                    write = "PUT /p HTTP/1.0\r\nContent-Length: 0"
                    self.assertEqual(200, await self.raw(write))

    async def test_bad_hosts_are_refused(self) -> None:
        for request in BAD:
            with self.subTest(request=request):
                self.assertEqual(400, await self.raw(request))
        self.assertEqual([], self.guest.seen)

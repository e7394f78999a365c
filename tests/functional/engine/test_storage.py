"""Varnish's memory: large responses do not fill it, and displace no stored page."""

from __future__ import annotations

import asyncio
from pathlib import Path

from nova_cachemig.agent.engine import shares
from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine.rig import INSTANCE, EngineCase
from tests.functional.engine.servers import connect, fetch, read_head
from tests.functional.ports import free_port
from tests.functional.replay.raw import Connection, RawGuest

MIB = 1 << 20
CACHE = 32  # MiB
DOWNLOAD = 96  # MiB
CHUNK = b"%x\r\n" % MIB + bytes(MIB) + b"\r\n"


class StorageCase(EngineCase):
    """``self.raw`` responds in the way that the path of a request names."""

    options = {"cache_size": f"{CACHE}m", "max_object_size": "4m"}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.raw = RawGuest(self.respond)
        await self.raw.start()
        self.addAsyncCleanup(self.raw.stop)
        self.paths: list[str] = []
        self.headers = b""
        self.form = ""
        other = self.a_service("other", instance=INSTANCE[:-1] + "2", listen=self.other_address())
        self.other = other
        target = Target("127.0.0.1", self.raw.port)
        await self.engine.apply([Route(self.service, target), Route(other, target)])

    def other_address(self) -> tuple[str, int]:
        return ("127.0.0.1", free_port())

    async def respond(self, request: Connection) -> bool:
        path = request.head.decode().split(" ")[1].strip("/")
        self.paths.append(path)
        kind, _, number = path.partition("/")
        head = b"HTTP/1.1 200 OK\r\n" + self.headers
        if kind == "page":
            body = (number.encode() + b" ") * 10
            await request.send(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        elif kind == "mib":
            await request.send(head + b"Content-Length: %d\r\n\r\n" % MIB + bytes(MIB))
        elif kind == "chunked":
            await request.send(head + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
        else:
            return await self._download(request, head)
        return True

    async def _download(self, request: Connection, head: bytes) -> bool:
        """Send a large response; ``self.form``: chunked, close, endless, or with a length."""
        if self.form == "close":
            await request.send(head + b"Connection: close\r\n\r\n")
            for _ in range(DOWNLOAD):
                await request.send(bytes(MIB))
            return False
        if self.form in {"chunked", "endless"}:
            await request.send(head + b"Transfer-Encoding: chunked\r\n\r\n")
            for _ in range(DOWNLOAD if self.form == "chunked" else 100 * DOWNLOAD):
                await request.send(CHUNK)
            await request.send(b"0\r\n\r\n")
            return True
        await request.send(head + b"Content-Length: %d\r\n\r\n" % (DOWNLOAD * MIB))
        for _ in range(DOWNLOAD):
            await request.send(bytes(MIB))
        return True

    async def slow_download(self, url: str) -> int:
        """Begin to read when the guest has sent all that fits; return the bytes of the response."""
        reader, writer = await connect(self.edge)
        self.addCleanup(writer.close)
        text = f"GET {url} HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n"
        writer.write(text.encode())
        await read_head(reader)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(0.5)
        writer.transport.resume_reading()  # type: ignore[attr-defined]
        size = 0
        while data := await reader.read(MIB):
            size += len(data)
        return size

    def memory(self) -> int:
        """Return the MiB of all processes of Varnish."""
        total = 0
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                lines = status.read_text().splitlines()
                fields = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
            except OSError:
                continue
            if str(self.engine.pids["varnishd"]) in {fields["Pid"], fields["PPid"]}:
                total += int(fields.get("VmRSS", "0").split()[0])
        return total >> 10

    async def warm(self, service: str, url: str) -> str:
        """Fetch a page as the warmer does; return what the engine says about it."""
        headers = warm_headers(service, "shop.example")
        number = str(next(self._nonces))
        where = self.engine.cache_socket
        fetched = await fetch(where, url, headers={**headers, "X-Cachemig-Nonce": number})
        commit = {**headers, "X-Cachemig-Commit": str(8 * int(number) + 3)}
        await fetch(where, url, headers=commit)
        served = fetched.headers["x-cachemig-served"]
        return served if fetched.status < 400 else str(fetched.status)


class Downloads(StorageCase):
    async def test_they_arrive_whole_and_fill_no_memory(self) -> None:
        await self.flip(EdgeState.ARMED)
        pages = [f"/{kind}/{number}" for kind in ("page", "chunked") for number in range(10)]
        for page in pages:
            await self.warm(self.service.name, page)
        before = self.memory()
        for state in (EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN):
            await self.flip(state)
            for form in ("chunked", "close", "length"):
                for kind in ("public", "private"):
                    self.form = form
                    self.headers = b"Cache-Control: %b, max-age=60\r\n" % kind.encode()
                    url = f"/download/{state.value}/{form}/{kind}"
                    for _ in range(2):
                        with self.subTest(url):
                            size = await self.slow_download(url)
                            self.assertGreaterEqual(size, DOWNLOAD * MIB)
        self.assertLess(self.memory() - before, CACHE)
        await self.flip(EdgeState.SHIELDED)
        for page in pages:
            self.assertEqual(200, (await self.get(page, timeout=2)).status)

    async def test_a_page_that_becomes_one(self) -> None:
        await self.flip(EdgeState.ARMED)
        for form in ("chunked", "close", "length"):
            for state in (EdgeState.ARMED, EdgeState.REPLAY):
                with self.subTest(form=form, state=state):
                    await self.flip(EdgeState.ARMED)
                    url = f"/d/{form}/{state.value}"
                    self.raw_page(url)
                    await self.get(url)
                    self.form = form
                    await self.flip(state)
                    self.assertGreaterEqual(await self.slow_download(url), DOWNLOAD * MIB)

    def raw_page(self, url: str) -> None:
        """Respond to the next request with a small page."""
        usual = self.raw.respond

        async def once(request: Connection) -> bool:
            self.raw.respond = usual
            await request.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            return True

        self.raw.respond = once


class Warming(StorageCase):
    async def test_an_endless_page_ends_and_is_not_fetched_again(self) -> None:
        await self.flip(EdgeState.ARMED)
        pages = [f"/{kind}/{number}" for kind in ("page", "chunked") for number in range(10)]
        for page in pages:
            self.assertEqual("stored", await self.warm(self.service.name, page))
        before = self.memory()
        for form in ("endless", "length"):
            self.form = form
            first, second = [await self.warm(self.service.name, f"/d/{form}") for _ in range(2)]
            self.assertEqual("503" if form == "endless" else "pass", first)
            self.assertEqual("pass", second)
        self.assertLess(self.memory() - before, CACHE)
        await self.flip(EdgeState.SHIELDED)
        for page in pages:
            self.assertEqual(200, (await self.get(page, timeout=2)).status)

    async def test_one_service_displaces_no_page_of_another(self) -> None:
        pages = [f"/{kind}/{number}" for kind in ("page", "chunked") for number in range(50)]
        for first in (self.service.name, self.other.name):
            second = self.other.name if first == self.service.name else self.service.name
            for name in (first, second):
                await self.engine.set_state(name, EdgeState.ARMED)
            for page in pages:
                await self.warm(first, page)
            for number in range(2 * CACHE):
                await self.warm(second, f"/mib/{number}")
            await self.engine.set_state(first, EdgeState.SHIELDED)
            where = self.edge if first == self.service.name else self.other.listen
            for page in pages:
                self.assertEqual(200, (await fetch(where, page, timeout=2)).status)
            for name in (first, second):
                await self.engine.set_state(name, EdgeState.PASS)

    async def test_a_large_page_displaces_any_number_of_small_ones(self) -> None:
        await self.flip(EdgeState.ARMED)
        for number in range(20 * MIB // 8192):
            await self.warm(self.service.name, f"/page/{number}")
        share = shares.shares(f"{CACHE}m")[0]
        self.assertGreater(shares.largest_page(share, 4 * MIB), MIB)
        for number in range(CACHE):
            self.assertEqual("stored", await self.warm(self.service.name, f"/mib/{number}"))

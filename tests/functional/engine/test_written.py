"""After a write, no older page of its path is used, in whatever spelling."""

from __future__ import annotations

import asyncio
import base64
import random
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.engine import render
from nova_cachemig.agent.engine.process import find_program
from nova_cachemig.model import paths
from nova_cachemig.model.phase import EdgeState
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.rig import EngineCase, config
from tests.functional.engine.servers import connect, fetch, read_body, read_head
from tests.functional.ports import free_port

SPELLINGS = ("/Dir/note", "/dir/note?content=1", "/dir/note?", "/dir//note", "/dir/x/../note",
             "/dir/./note", "/dir/%6Eote", "/dir/%6eote", "/dir/note/", "/dir/note;v=1",
             "http://SHOP.example:80/dir/note", "http://shop.example./dir/note")  # fmt: skip


class Spellings(EngineCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        await self.flip(EdgeState.ARMED)

    async def raw(self, url: str) -> bytes:
        """Get a URL as it is written, also in the absolute form; return the body."""
        reader, writer = await connect(self.edge)
        authority = url.split("/")[2] if url.startswith("http") else "shop.example"
        writer.write(f"GET {url} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode())
        async with asyncio.timeout(10):
            try:
                _, headers = await read_head(reader)
                if "content-length" in headers:
                    return await reader.readexactly(int(headers["content-length"]))
                return await read_body(reader, headers)
            finally:
                writer.close()

    async def old(self) -> dict[str, bytes]:
        """The stored pages of all spellings."""
        for _ in range(2):
            pages = {url: await self.raw(url) for url in SPELLINGS}
        return pages

    async def none_is_found(self, pages: dict[str, bytes]) -> None:
        await self.flip(EdgeState.SHIELDED)
        reads = {url: asyncio.create_task(self.raw(url)) for url in SPELLINGS}
        await asyncio.sleep(0.3)
        await self.flip(EdgeState.ARMED)
        for url, read in reads.items():
            self.assertNotEqual(pages[url], await read, url)

    async def test_each_is_found_without_a_write(self) -> None:
        await self.old()
        self.assertIsNotNone(await self.found("/dir/note?content=1"))
        self.assertIsNotNone(await self.found("/dir//note"))

    async def test_none_is_found_after_a_write_to_another(self) -> None:
        for url in ("/dir/note", "/DIR/n%6Fte?x=1", "/dir//./note/"):
            with self.subTest(url=url):
                pages = await self.old()
                await self.get(url, method="PUT", body=b"x")
                await self.none_is_found(pages)

    async def test_nor_after_one_to_a_page_that_names_it(self) -> None:
        for fields in (
            {"Location": "note"},
            {"Content-Location": "http://other.example/dir/note?v=2"},
        ):
            with self.subTest(fields=fields):
                self.guest.rules["/dir/"] = fields
                pages = await self.old()
                await self.get("/dir/", method="POST", body=b"x")
                await self.none_is_found(pages)

    async def test_nor_after_one_of_the_journal(self) -> None:
        for url in ("/dir/note", "/DIR/n%6Fte?x=1"):
            with self.subTest(url=url):
                pages = await self.old()
                await self.invalidate("shop.example", [url])
                await self.none_is_found(pages)

    async def test_a_write_in_flight_concerns_all_spellings(self) -> None:
        self.guest.delays["/dir/note"] = 1.0
        writing = asyncio.create_task(self.get("/dir/note", method="PUT", body=b"x"))
        while not self.guest.responding:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        self.guest.delays.clear()
        for _ in range(2):
            await self.get("/dir/note?content=1")
        self.assertIsNone(await self.found("/dir/note?content=1"))
        await writing

    async def test_reads_of_all_spellings_wait_for_the_journal(self) -> None:
        await self.set_pending("url:/dir/note", True)
        waiting = asyncio.create_task(self.get("/dir//note?content=1"))
        await self.holding(1)
        await self.set_pending("url:/dir/note", False)
        self.assertEqual(200, (await waiting).status)


class NowPrivate(EngineCase):
    async def asyncSetUp(self) -> None:
        with mock.patch.object(render, "REPLACED_FOR", 1):
            await super().asyncSetUp()

    async def test_the_copy_from_before_is_not_found_again(self) -> None:
        self.guest.rules["/a"] = {"Cache-Control": "max-age=600"}
        await self.flip(EdgeState.ARMED)
        before = await self.stored("/a")
        await self.flip(EdgeState.REPLAY)
        self.assertEqual(before.body, (await self.get("/a")).body)
        self.guest.rules["/a"] = {"Cache-Control": "private"}
        await self.get("/a", headers={"Cache-Control": "no-cache"})
        await asyncio.sleep(1.5)
        for _ in range(2):
            self.assertNotEqual(before.body, (await self.get("/a")).body)


class Journalled(ArmedCase):
    """Writes that the journal sends to the guest after its return."""

    async def test_they_renew_what_their_responses_and_destinations_name(self) -> None:
        self.guest.rules["/make"] = {"Location": "made"}
        for page in ("/made", "/copy"):
            await self.stored(page)
            self.assertIsNotNone(await self.found(page))
        await self.shield()
        copy = {"Destination": "http://shop.example/copy"}
        writes = [
            asyncio.create_task(self.get("/make", method="POST", body=b"x")),
            asyncio.create_task(self.get("/a", method="COPY", headers=copy)),
        ]
        while (await self.writes.counts("shop")).accepted < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        await self.back()
        await asyncio.gather(*writes)
        for page in ("/made", "/copy"):
            self.assertIsNone(await self.found(page), page)


_BASE = "/Dir/page?a=/b"
_RESULTS = {"path": "%[var(txn.path),base64]", "resolved": "%[var(txn.resolved),base64]"}
_ECHO = """
global
    lua-load {lua}
defaults
    mode http
    timeout client 5s
    timeout connect 5s
    timeout server 5s
frontend echo
    bind 127.0.0.1:{port}
    http-request set-var(txn.url) req.hdr(x-url),b64dec
    http-request set-var(txn.reference) req.hdr(x-reference),b64dec
    http-request set-var(txn.path) var(txn.url),lua.cachemig_path
    http-request set-var(txn.resolved) var(txn.reference),lua.cachemig_resolved({base})
    http-request return status 200 hdr X-Path {path} hdr X-Resolved {resolved}
"""


class Equality(unittest.IsolatedAsyncioTestCase):
    """The edge's Lua and the agent's Python have the same form of a path."""

    async def asyncSetUp(self) -> None:
        root = Path(tempfile.mkdtemp(prefix="cmlua"))
        self.addCleanup(shutil.rmtree, root, ignore_errors=True)
        conf, places = config(root), render.Paths(root)
        for name in render.MAPS:
            places.map(name).write_text("")
        (root / "edge.lua").write_text(render.lua(conf, places))
        self.port = free_port()
        (root / "haproxy.cfg").write_text(
            _ECHO.format(lua=root / "edge.lua", port=self.port, base=_BASE, **_RESULTS)
        )
        argv = [find_program("haproxy", "haproxy"), "-f", root / "haproxy.cfg"]
        haproxy = subprocess.Popen(argv)  # noqa: ASYNC220
        self.addCleanup(haproxy.wait, 10)
        self.addCleanup(haproxy.terminate)
        while not self.listens():  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    async def test_of_generated_inputs(self) -> None:
        rng = random.Random(1)
        parts = ["/", "//", ".", "..", "%2e", "%2F", "%5C", "\\", ";", "a", "B", "%41", "%zz"]
        parts += ["%", "?", "#", "x:", "http://h", "é", "\xff", "%00", "~", " ", "+", "%C3%A9"]
        for _ in range(400):
            url, reference = ("".join(rng.choices(parts, k=rng.randrange(9))) for _ in range(2))
            headers = {"X-Url": encoded(url), "X-Reference": encoded(reference)}
            if not url or not reference:
                continue
            response = await fetch(("127.0.0.1", self.port), "/", headers=headers)
            got = base64.b64decode(response.headers["x-path"])
            self.assertEqual(paths.canonical(url), got, (url, reference))
            got = base64.b64decode(response.headers["x-resolved"])
            self.assertEqual(
                paths.resolve(_BASE, reference).encode("latin-1"), got, (url, reference)
            )


def encoded(text: str) -> str:
    return base64.b64encode(text.encode("latin-1")).decode()

"""Varnish's start, with a script instead of it."""

from __future__ import annotations

import asyncio
import os
import signal

from nova_cachemig.agent.engine import render
from nova_cachemig.agent.engine.cache import PARAMETERS, Cache
from nova_cachemig.agent.ports import ComponentError
from tests.unit.agent.engine.case import ProcessCase
from tests.unit.agent.engine.test_render import config

PROGRAM = """#!/bin/sh
case "$*" in *" -C "*) {check};; esac
echo "$*" > {folder}/arguments
exec sleep 60
"""


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond as Varnish does to a request without the edge's headers."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


class CacheTest(ProcessCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.paths = render.Paths(self.folder)
        server = await asyncio.start_unix_server(refuse, str(self.paths.socket("varnish")))
        self.addCleanup(server.close)
        self.install("exit 0")

    def install(self, check: str) -> None:
        program = self.folder / "varnishd"
        program.write_text(PROGRAM.format(check=check, folder=self.folder))
        program.chmod(0o700)

    def cache(self, **options: object) -> Cache:
        return Cache(config(varnishd=str(self.folder / "varnishd"), **options), self.paths)

    async def start(self, cache: Cache) -> int:
        await cache.start()
        self.addAsyncCleanup(cache.detach)
        assert cache.pid is not None
        self.pids.add(cache.pid)
        return cache.pid

    async def arguments(self) -> str:
        path = self.folder / "arguments"
        async with asyncio.timeout(5):
            while not path.exists() or not path.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return path.read_text()

    async def test_it_runs_with_the_configured_size_and_all_parameters(self) -> None:
        await self.start(self.cache(cache_size="64m"))
        arguments = await self.arguments()
        self.assertIn("-s share0=malloc,24576k -s share1=malloc,12288k", arguments)
        self.assertIn("-s Transient=malloc,16384k -T none", arguments)
        self.assertIn(f"-f {self.paths.vcl}", arguments)
        for name, value in PARAMETERS.items():
            self.assertIn(f"-p {name}={value}", arguments)
        self.assertTrue(self.paths.vcl.read_text().startswith("vcl 4.1;"))

    async def test_a_varnish_with_other_arguments_is_restarted(self) -> None:
        first = self.cache()
        pid = await self.start(first)
        await first.detach()
        self.assertNotEqual(pid, await self.start(self.cache(cache_size="64m")))
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, 0)

    async def test_an_invalid_configuration_is_kept_and_nothing_starts(self) -> None:
        self.install("echo 'Message from VCC-compiler: bad'; exit 2")
        cache = self.cache()
        with self.assertRaisesRegex(ComponentError, "Message from VCC-compiler: bad"):
            await cache.start()
        self.assertIsNone(cache.pid)
        self.assertTrue((self.folder / "cache.vcl.failed").exists())

    async def test_stop_ends_the_process(self) -> None:
        cache = self.cache()
        pid = await self.start(cache)
        await cache.stop()
        with self.assertRaises(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        self.assertIsNone(cache.pid)

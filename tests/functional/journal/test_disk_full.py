"""A disk that is really full: a small tmpfs as the state directory."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

import httpx

from nova_cachemig.agent.journal import space
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, service

SIZE = 40  # MiB: the progress log takes 8, and 8 more in a start
SMALL, LARGE = 16 << 10, 300 << 10  # bytes below and above the spool threshold


class DiskFullTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.state = Path(directory.name)
        options = f"size={SIZE}m,mode=0700"
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "cachemig-test", str(self.state)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        self.assertEqual(0, mounted.returncode, f"cannot mount a tmpfs: {mounted.stderr}")
        self.addCleanup(subprocess.run, ["umount", "--lazy", str(self.state)], check=True)
        self.filler = self.state / "filler"
        self.accepted: list[bytes] = []

    async def asyncSetUp(self) -> None:
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        quick = mock.patch.object(space, "_INTERVAL", 0.0)
        quick.start()
        self.addCleanup(quick.stop)

    async def agent(self, **journal: Any) -> Writes:
        writes = Writes(conf_for(self.state, **journal))
        await writes.start()
        self.addAsyncCleanup(self.end, writes)
        await writes.open(service(writes=WriteMode.ACCEPT))
        return writes

    async def end(self, writes: Writes) -> None:
        if writes.journal._writer is not None:
            await writes.stop()

    def fill(self, *, leave: int) -> None:
        """Take all space of the file system except ``leave`` bytes."""
        size = self.free() - leave
        if size > 0:
            with self.filler.open("ab") as file:
                os.posix_fallocate(file.fileno(), file.tell(), size)

    def free(self) -> int:
        stat = os.statvfs(self.state)
        return stat.f_bavail * stat.f_frsize

    async def put(self, http: httpx.AsyncClient, size: int) -> int:
        body = b"%06d" % len(self.accepted) + os.urandom(size)
        status = (await http.put("/a", content=body)).status_code
        if status == 202:
            self.accepted.append(body)
        return status

    async def until_refused(self, http: httpx.AsyncClient, size: int) -> None:
        while (status := await self.put(http, size)) == 202:
            self.assertLess(len(self.accepted), 5000, "the disk does not get full")
        self.assertEqual(503, status)

    async def all_applied(self, writes: Writes) -> None:
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        async with asyncio.timeout(60):
            await writes.drained("shop")
        self.assertEqual(self.accepted, self.guest.bodies())

    async def test_full_to_the_last_byte(self) -> None:
        writes = await self.agent(min_free=0)
        self.fill(leave=3 << 20)
        async with client(writes.intake_socket) as http:
            await self.until_refused(http, SMALL)
            before = len(self.accepted)
            self.assertGreater(before, 50)
            self.fill(leave=0)
            for size in (SMALL, LARGE, 100):
                self.assertEqual(503, await self.put(http, size))
            self.assertLess(self.free(), 1 << 20)
            self.filler.unlink()
            # automatically, without a restart of the agent or its connections
            self.assertEqual([202] * 4, [await self.put(http, n) for n in (SMALL, LARGE) * 2])
        self.assertEqual(before + 4, len(self.accepted))
        await self.all_applied(writes)

    async def test_replay_when_not_even_a_response_can_be_recorded(self) -> None:
        writes = await self.agent(min_free=0)
        async with client(writes.intake_socket) as http:
            for _ in range(300):
                await self.put(http, 1000)
            self.fill(leave=0)
            await self.until_refused(http, 4000)
        await writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        await asyncio.wait([asyncio.create_task(writes.drained("shop"))], timeout=1.0)
        self.assertEqual(self.accepted[: len(self.guest.log)], self.guest.bodies())
        self.filler.unlink()
        await self.all_applied(writes)

    async def test_a_restart_on_a_full_disk_is_refused_and_loses_nothing(self) -> None:
        writes = await self.agent(min_free=0)
        self.fill(leave=2 << 20)
        async with client(writes.intake_socket) as http:
            await self.put(http, LARGE)
            await self.until_refused(http, SMALL)
        await writes.stop()
        self.fill(leave=0)
        with self.assertRaisesRegex(JournalError, "No space left|disk is full"):
            await self.agent(min_free=0)
        self.filler.unlink()
        writes = await self.agent(min_free=0)
        self.assertEqual(
            (len(self.accepted), ()), (writes.recovered.waiting, writes.recovered.damaged)
        )
        await self.all_applied(writes)

    async def test_min_free_refuses_before_the_disk_is_full(self) -> None:
        writes = await self.agent(min_free=4 << 20)
        self.fill(leave=8 << 20)
        async with client(writes.intake_socket) as http:
            await self.until_refused(http, SMALL)
            self.assertGreater(self.free(), 3 << 20)
            self.assertEqual(503, await self.put(http, LARGE))
            # the remaining space suffices to replay the accepted writes and to record it
            await self.all_applied(writes)
            self.filler.unlink()
            self.assertEqual(202, await self.put(http, LARGE))
        await self.all_applied(writes)

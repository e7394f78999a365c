"""10,000 uploads that pause half-way: the memory is bounded, and each gets its response."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import unittest
from typing import Any

from nova_cachemig.agent.engine import capacity

UPLOADS = min(10_000, capacity.open_file_limit() - 1000)
MEMORY = 300 << 20  # bytes: the limit of the agent's memory
OWN_FILES = 200  # of the agent, beside the connections
LIMIT = 300.0  # seconds; the machine may be busy
HEAD = (
    b"POST /x HTTP/1.1\r\nHost: shop.example\r\nX-Cachemig-Service: shop\r\n"
    b"X-Cachemig-Client: 10.0.0.1\r\nPrefer: respond-async\r\nContent-Length: %d\r\n\r\n"
)
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Agent:
    """A write path as a separate process: both ends of 10,000 connections are too many files."""

    def __init__(self, directory: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.functional.intake.serving", directory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        self.socket = self._output.readline().strip()

    def end(self) -> None:
        """End the process."""
        self._input.close()
        self._process.wait(60)
        self._output.close()

    async def figures(self) -> dict[str, Any]:
        """Return the figures of the process."""
        self._input.write("\n")
        self._input.flush()
        found: dict[str, Any] = json.loads(await asyncio.to_thread(self._output.readline))
        return found


class ManyUploads(unittest.IsolatedAsyncioTestCase):
    def start(self) -> Agent:
        directory = self.enterContext(tempfile.TemporaryDirectory())
        agent = Agent(directory)
        self.addCleanup(agent.end)
        return agent

    async def begin(self, agent: Agent, size: int) -> list[Connection]:
        """Send the heads, and all of each body but its last byte."""
        begun: list[Connection] = []
        while len(begun) < UPLOADS:
            try:
                begun.append(await asyncio.open_unix_connection(agent.socket))
            except BlockingIOError:  # the backlog is full
                await asyncio.sleep(0.01)
                continue
            _, writer = begun[-1]
            writer.write(HEAD % size + b"x" * (size - 1))
            await writer.drain()
        while (await agent.figures())["uploads"] < UPLOADS:  # noqa: ASYNC110 - in another process
            await asyncio.sleep(0.1)
        return begun

    async def finish(self, connection: Connection) -> int:
        reader, writer = connection
        writer.write(b"y")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        return int(head.split(b" ")[1])

    async def test_each_gets_its_response_when_it_goes_on(self) -> None:
        asyncio.get_running_loop().set_debug(False)  # it would dominate the measured times
        for size in (2000, 20_000):
            agent = self.start()
            async with asyncio.timeout(LIMIT):
                connections = await self.begin(agent, size)
                paused = await agent.figures()
                statuses = []
                for first in range(0, UPLOADS, 500):
                    part = connections[first : first + 500]
                    statuses += await asyncio.gather(*(self.finish(one) for one in part))
                ended = await agent.figures()
            with self.subTest(size=size):
                self.assertEqual({202}, set(statuses))
                self.assertEqual((0, UPLOADS), (ended["uploads"], ended["waiting"]))
                self.assertLess(ended["memory"], MEMORY)
                self.assertLess(paused["files"], UPLOADS + OWN_FILES)

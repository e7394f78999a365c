"""Counts, and handing out the access log."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import accesslog
from nova_cachemig.agent.engine.counters import QUEUE, AccessLog, RingReader, ServiceCounters
from nova_cachemig.agent.engine.warming import Warmed, warm_headers, warmed
from nova_cachemig.agent.ports import EdgeCounts
from tests.unit.agent.engine.test_accesslog import line


def record(**fields: object) -> accesslog.EdgeRecord:
    parsed = accesslog.parse(line(**fields))
    assert parsed is not None
    return parsed


class Counting(unittest.TestCase):
    def test_only_what_was_begun_is_counted(self) -> None:
        tally = ServiceCounters()
        tally.add(record())
        self.assertEqual(EdgeCounts(), tally.of("shop"))
        tally.begin("shop")
        for served in ("hit", "stale", "stored", "pass", "none", "-"):
            tally.add(record(served=served))
        tally.add(record(status=503, error="hold", wait=1, answered=-1, total=9000))
        tally.add(record(status=502))  # the guest's own
        self.assertEqual(
            EdgeCounts(hits=2, misses=2, held=1, longest_wait=9.0, failed=1), tally.of("shop")
        )
        tally.begin("shop")
        self.assertEqual(EdgeCounts(), tally.of("shop"))


class HandingOut(unittest.IsolatedAsyncioTestCase):
    async def test_all_who_listen_get_each_and_the_slow_lose_the_oldest(self) -> None:
        accesses = AccessLog()
        one, two = accesses.listen(), accesses.listen()
        for number in range(QUEUE + 5):
            accesses.add(record(url=f"/{number}".encode()))
        self.assertEqual(["/5", "/5"], [(await anext(it)).url for it in (one, two)])
        self.assertEqual(10, accesses.lost)

    async def test_a_ring_is_followed_over_lost_connections_and_odd_lines(self) -> None:
        connections = 0
        good = line() + b"\n"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            asked.append((await reader.readline()).decode())
            writer.write(good + b"junk\n\n" + good[:50] + b"\n" + good)
            await writer.drain()
            writer.close()

        asked: list[str] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.sock"
            server = await asyncio.start_unix_server(serve, str(path))
            got: list[accesslog.EdgeRecord] = []
            reader = RingReader(path, "handover", got.append)
            reader.start()
            async with asyncio.timeout(5):
                while connections < 2 or len(got) < 4:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await reader.stop()
            server.close()
        self.assertEqual("show events handover -w -n\n", asked[0])
        self.assertEqual((4, 4), (len(got), reader.malformed))

    async def test_a_ring_rests_and_then_takes_what_came(self) -> None:
        good = line() + b"\n"

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(good * 3)
            await reader.read()
            writer.close()

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.sock"
            server = await asyncio.start_unix_server(serve, str(path))
            got: list[accesslog.EdgeRecord] = []
            ring = RingReader(path, "handover", got.append)
            ring.rest(60)
            ring.start()
            await ring.connected.wait()
            await asyncio.sleep(0.1)
            self.assertEqual([], got)
            ring.rest(0)
            async with asyncio.timeout(5):
                while len(got) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await ring.stop()
            server.close()


class Warming(unittest.TestCase):
    def test_headers(self) -> None:
        self.assertEqual({"Host": "h", "X-Cachemig-Service": "a%20b"}, warm_headers("a b", "h"))

    def test_what_became_of_a_fetch(self) -> None:
        cases = {
            (200, "stored", ""): Warmed.STORED,
            (200, "hit", ""): Warmed.HIT,
            (200, "pass", ""): Warmed.UNCACHEABLE,
            (409, "refused", ""): Warmed.REFUSED,
            (503, "pass", "guest"): Warmed.FAILED,
            (503, "", ""): Warmed.FAILED,
            (404, "stored", ""): Warmed.STORED,
        }
        for (status, served, error), expected in cases.items():
            headers = {"x-cachemig-served": served, "x-cachemig-error": error}
            self.assertEqual(expected, warmed(status, headers))

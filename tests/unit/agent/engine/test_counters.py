"""Counters of each service, and the subscribers of the access log."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine import accesslog
from nova_cachemig.agent.engine.counters import (
    KEPT,
    QUEUE_SIZE,
    AccessLog,
    RingReader,
    ServiceCounters,
)
from nova_cachemig.agent.ports import EdgeCounts
from nova_cachemig.model.policy import Rule
from tests.unit.agent.engine.test_accesslog import line


def record(**fields: object) -> accesslog.EdgeRecord:
    parsed = accesslog.parse(line(**fields))
    assert parsed is not None
    return parsed


class Counters(unittest.TestCase):
    def test_only_started_services_are_counted(self) -> None:
        counters = ServiceCounters()
        counters.record(record())
        self.assertEqual(EdgeCounts(), counters.get("shop"))
        counters.start("shop")
        for served in ("hit", "stale", "stored", "pass", "none", "-"):
            counters.record(record(served=served))
        counters.record(record(status=503, error="hold", wait=1, responded=-1, total=9000))
        counters.record(record(status=502))  # an error of the guest
        self.assertEqual(
            EdgeCounts(hits=2, misses=2, held=1, longest_wait=9.0, failed=1), counters.get("shop")
        )
        counters.start("shop")
        self.assertEqual(EdgeCounts(), counters.get("shop"))
        totals = counters.totals  # these go on
        self.assertEqual({"hit": 2, "miss": 2}, totals.reads)
        self.assertEqual((1, 9.0), (totals.held_requests, totals.held.copy().total))
        self.assertEqual((1, 0), (totals.refused["hold"], totals.refused["other"]))

    def test_the_reads_of_a_handover(self) -> None:
        counters = ServiceCounters()
        page = record(served="hit", facts="page|shielded|warm|||2|40|||||1")
        counters.record(page)
        self.assertEqual({}, counters.read_counts("shop").to_wire())
        counters.start("shop", (Rule(static=True),))
        counters.record(record(served="hit"))
        counters.record(page)
        rules = [{"rule": 1, "origin": "service", "hits": 1}]
        self.assertEqual(
            {"hits": {"warm": 1}, "rules": rules}, counters.read_counts("shop").to_wire()
        )
        counters.keep_only({"shop"})
        self.assertNotEqual({}, counters.read_counts("shop").to_wire())
        counters.keep_only(set())
        self.assertEqual({}, counters.read_counts("shop").to_wire())

    def test_those_of_ended_handovers_are_bounded(self) -> None:
        counters = ServiceCounters()
        for number in range(2 * KEPT):
            counters.start(f"s{number}")
            counters.record(record(served="hit", svc=f"s{number}"))
            counters.end(f"s{number}")
        self.assertEqual(KEPT, len(counters._counts))
        self.assertEqual(KEPT, len(counters._reads))
        self.assertEqual(0, counters.get("s0").hits)
        self.assertEqual(1, counters.get(f"s{KEPT}").hits)
        counters.start(f"s{KEPT}")
        for number in range(2 * KEPT, 3 * KEPT + 10):
            counters.start(f"s{number}")
            counters.record(record(served="hit", svc=f"s{number}"))
            counters.end(f"s{number}")
        self.assertIn(f"s{KEPT}", counters._counts)  # it is in a handover again
        counters.keep_only(set())
        self.assertEqual(({}, {}, {}), (counters._counts, counters._reads, counters._ended))


class Rings(unittest.IsolatedAsyncioTestCase):
    async def test_every_subscriber_gets_each_record_and_a_slow_one_loses_the_oldest(self) -> None:
        access_log = AccessLog()
        one, two = access_log.subscribe(), access_log.subscribe()
        for number in range(QUEUE_SIZE + 5):
            access_log.publish(record(url=f"/{number}".encode()))
        self.assertEqual(["/5", "/5"], [(await anext(it)).url for it in (one, two)])
        self.assertEqual(10, access_log.dropped)

    async def test_a_ring_is_followed_across_lost_connections_and_malformed_lines(self) -> None:
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

    async def test_a_paused_ring_handles_its_records_afterwards(self) -> None:
        good, written = line() + b"\n", asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(good * 3)
            await writer.drain()
            written.set()
            await reader.read()
            writer.close()

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.sock"
            server = await asyncio.start_unix_server(serve, str(path))
            got: list[accesslog.EdgeRecord] = []
            ring = RingReader(path, "handover", got.append)
            ring.pause(60)
            ring.start()
            await written.wait()
            for _ in range(100):  # the reader runs, and handles nothing
                await asyncio.sleep(0)
            self.assertEqual([], got)
            ring.pause(0)
            async with asyncio.timeout(5):
                while len(got) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
            await ring.stop()
            server.close()

"""The whole measure against a guest on loopback, with faults planted in it."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import socket
import tempfile
import time
import unittest
from pathlib import Path

from tests.functional.tools.fake_guest import FakeGuest, Faults
from tools.measurement import plan, session
from tools.measurement.analysis.blackout import blackouts, longest
from tools.measurement.analysis.figures import figures
from tools.measurement.analysis.late import cacheable_paths
from tools.measurement.analysis.outcome import Audit, Run
from tools.measurement.load import Manner

LIMIT = 60.0  # seconds


class LoadTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        # unittest's debug mode makes a load that is measured in milliseconds several times slower
        asyncio.get_running_loop().set_debug(False)

    async def guest(self, faults: Faults | None = None) -> FakeGuest:
        guest = FakeGuest(faults)
        await guest.start()
        self.addAsyncCleanup(guest.stop)
        return guest

    async def measure(self, guest: FakeGuest, **more: object) -> Run:
        fields: dict[str, object] = {
            "url": guest.url,
            "log": f"{guest.url}/log",
            "rate": 200.0,
            "duration": 1.5,
            "pages": 10,
        }
        return await session.run(session.Settings(**fields | more))  # type: ignore[arg-type]

    async def seen(self, guest: FakeGuest, number: int) -> None:
        """Wait until so many requests have reached the guest, however long a busy machine takes."""
        async with asyncio.timeout(LIMIT):
            while guest.seen < number:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def audit(self, faults: Faults) -> Audit:
        run = await self.measure(await self.guest(faults))
        assert run.audit is not None
        return run.audit

    async def test_a_sound_guest(self) -> None:
        guest = await self.guest()
        run = await self.measure(guest, probe=f"{guest.url}/health", protected=True)
        found = figures(run, cacheable_paths([run]))
        self.assertAlmostEqual(300, found["requests"], delta=80)
        self.assertEqual((0, []), (found["failed"], found["findings"]))
        self.assertEqual(found["writes"], found["writes_acked"])
        self.assertEqual(len(guest.applied), found["writes"])
        self.assertGreater(found["reads_checked"], 0)
        self.assertGreater(len(run.probes), 1)
        self.assertNotIn("/page/9", cacheable_paths([run]))
        self.assertIn("/page/1", cacheable_paths([run]))
        self.assertLess(found["generator_lag_p99_ms"], 1000)

    async def test_lost_writes_are_caught(self) -> None:
        audit = await self.audit(Faults(lose=10))
        self.assertEqual(audit.writes_acked // 10, audit.writes_lost)
        self.assertGreater(audit.writes_lost, 0)

    async def test_doubled_writes_are_caught(self) -> None:
        audit = await self.audit(Faults(double=10))
        self.assertEqual(audit.writes_acked // 10, audit.writes_doubled)
        self.assertGreater(audit.writes_doubled, 0)

    async def test_stale_reads_are_caught(self) -> None:
        self.assertGreater((await self.audit(Faults(stale_items=True))).stale_reads_after_write, 0)

    async def test_refused_writes_fail_and_are_not_acknowledged(self) -> None:
        run = await self.measure(await self.guest(Faults(fail=5)))
        assert run.audit is not None
        failed = [request for request in run.requests if request.failed]
        self.assertEqual({503}, {request.status for request in failed})
        writes = sum(not request.is_read for request in run.requests)
        self.assertEqual(writes - len(failed), run.audit.writes_acked)
        self.assertEqual(0, run.audit.writes_lost)

    async def test_a_silent_guest_does_not_slow_the_load(self) -> None:
        guest = await self.guest()
        seen: list[int] = []

        async def sleep_and_wake() -> None:
            await self.seen(guest, 80)
            guest.awake.clear()
            seen.append(guest.seen)
            await asyncio.sleep(0.5)
            await self.seen(guest, seen[0] + 31)  # 100 are planned in that half second
            seen.append(guest.seen)
            guest.awake.set()

        silence = asyncio.create_task(sleep_and_wake())
        run = await self.measure(guest, duration=3.0, probe=f"{guest.url}/health")
        await silence
        self.assertGreater(seen[1] - seen[0], 30)
        gap = longest(blackouts(run))
        assert gap is not None
        self.assertGreater(gap.seconds, 0.4)
        waits = [r.latency for r in run.requests if gap.start < r.scheduled < gap.start + 0.1]
        self.assertGreater(min(waits), 0.2)

    async def test_a_surge_comes_once_when_the_guest_falls_silent(self) -> None:
        guest = await self.guest()

        async def two_silences() -> None:
            await self.seen(guest, 1)
            for _ in range(2):
                await asyncio.sleep(0.5)
                guest.awake.clear()
                await asyncio.sleep(session.SILENCE + 0.3)
                guest.awake.set()

        silence = asyncio.create_task(two_silences())
        surge = {"probe": f"{guest.url}/health", "surge": 150, "surge_rate": 500.0}
        mix = plan.Mix(writes=0.0, item_reads=0.0)
        run = await self.measure(guest, rate=50.0, duration=5.0, mix=mix, **surge)
        await silence
        writes = [request for request in run.requests if not request.is_read]
        self.assertEqual(150, len(writes))
        self.assertGreater(writes[0].scheduled, 0.9)
        self.assertAlmostEqual(0.3, writes[-1].scheduled - writes[0].scheduled, delta=0.15)

    async def test_who_prefers_202_learns_later_when_it_was_applied(self) -> None:
        guest = await self.guest(Faults(accept=True))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "applied.json")
            began = time.time()

            async def write_file() -> None:
                """Write down what was applied of the second to the fortieth write."""
                async with asyncio.timeout(LIMIT):
                    while len(names := of(guest)) < 39:  # noqa: ASYNC110
                        await asyncio.sleep(0.01)
                text = json.dumps(dict.fromkeys(names, began + 60))
                await asyncio.to_thread(file.write_text, text)

            def of(guest: FakeGuest) -> list[str]:
                names = [entry[3] for entry in guest.applied]
                return [name for name in names if 1 < int(name.rpartition("-")[2]) <= 40]

            writing = asyncio.create_task(write_file())
            manner = Manner(respond_async=True)
            mix = plan.Mix(writes=1.0)
            run = await self.measure(guest, duration=0.8, manner=manner, mix=mix, applied=file)
            await writing
        applied = [request.applied for request in run.requests]
        # the file contains neither the first write nor the last ones
        self.assertEqual([True, False, True], [applied[n] is None for n in (0, 1, -1)])
        self.assertAlmostEqual(60, applied[1] or 0, delta=0.5)
        self.assertEqual({202}, {request.status for request in run.requests})

    async def test_keepalive_uses_connections_again(self) -> None:
        guest = await self.guest()
        run = await self.measure(guest, manner=Manner(clients=10, keepalive=True))
        self.assertEqual(0, sum(request.failed for request in run.requests))
        self.assertLess(guest.connections, len(run.requests))

    async def test_clients_have_their_addresses(self) -> None:
        sources = ("127.0.0.2", "127.0.0.3")
        run = await self.measure(await self.guest(), sources=sources)
        self.assertEqual(0, sum(request.failed for request in run.requests))

    async def test_a_timeout_fails(self) -> None:
        guest = await self.guest()
        guest.awake.clear()
        manner = Manner(timeout=0.3)
        run = await self.measure(guest, duration=0.5, manner=manner, log=None)
        self.assertEqual({"timeout"}, {request.error for request in run.requests})
        self.assertTrue(all(request.failed for request in run.requests))

    async def test_no_guest_listens(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{taken.getsockname()[1]}"
            settings = session.Settings(url=url, probe=url, rate=100, duration=0.5)
            run = await session.run(settings)
        self.assertTrue(all(r.failed and r.error.startswith("connect") for r in run.requests))
        self.assertEqual([], list(run.probes))

    async def test_a_file_stops_it(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            stop = Path(folder, "stop")
            guest = await self.guest()

            async def stop_soon() -> None:
                await self.seen(guest, 30)
                await asyncio.to_thread(stop.touch)

            stopping = asyncio.create_task(stop_soon())
            run = await self.measure(guest, duration=LIMIT, stop_file=stop)
            await stopping
        self.assertLess(run.duration, LIMIT / 3)
        self.assertGreater(len(run.requests), 20)

    async def test_without_the_log_the_run_is_kept(self) -> None:
        with self.assertLogs("tools.measurement.session", "ERROR"):
            run = await self.measure(await self.guest(), duration=0.3, log="/nonexistent")
        self.assertIsNone(run.audit)
        self.assertIsNone(dataclasses.asdict(run)["audit"])

"""A guest whose packets are dropped: the effect on each request of its clients."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import socket
import time
from collections.abc import AsyncIterator
from unittest import mock

from nova_cachemig.agent.engine import descriptors, lost, sockdiag
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine import blackout
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Response, exchange, until

QUICK = 0.15
"""Seconds within which a machine that is not busy responds to all that a silence has held."""
PAGES = [f"/hot/{n}" for n in range(20)]


def p99(values: list[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))] if ordered else 0.0


class Lag:
    """How late this machine runs tasks, in seconds: added to each limit on a busy machine.

    ``usual``: the seconds of a request without a silence. ``together``: the seconds of as many
    requests in parallel as a silence holds.
    """

    def __init__(self) -> None:
        self.late: list[float] = []
        self.usual = self.together = 0.0

    @classmethod
    @contextlib.asynccontextmanager
    async def watched(cls) -> AsyncIterator[Lag]:
        """Measure during the body."""
        lag = cls()
        watching = asyncio.create_task(lag._watch())
        try:
            yield lag
        finally:
            watching.cancel()

    async def _watch(self) -> None:
        while True:
            due = time.monotonic() + 0.005
            await asyncio.sleep(0.005)
            self.late.append(time.monotonic() - due)

    def allowance(self) -> float:
        return 2 * max(*self.late, self.usual, self.together - QUICK)


class Load:
    """Open loop: a request every ``gap`` seconds, independent of the responses."""

    def __init__(self, case: EngineCase, gap: float) -> None:
        self._case = case
        self._gap = gap
        self._tasks: list[asyncio.Task[None]] = []
        self.done: list[tuple[str, float, float, Response | Exception]] = []  # kind, due, end

    async def run(self, until: asyncio.Event) -> None:
        due = time.monotonic()
        number = 0
        while not until.is_set():
            number += 1
            kind = ("hit", "hit", "hit", "miss", "write")[number % 5]
            self._tasks.append(asyncio.create_task(self._one(kind, number, due)))
            due += self._gap
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*self._tasks)

    async def _one(self, kind: str, number: int, due: float) -> None:
        get = self._case.get
        try:
            if kind == "hit":
                response = await get(random.choice(PAGES))
            elif kind == "miss":
                response = await get(f"/miss/{number}")
            else:  # by another client: one that has written gets no page from before its write
                body = str(number).encode()
                response = await get("/write", method="POST", body=body, source="127.0.0.2")
        except Exception as exc:
            self.done.append((kind, due, time.monotonic(), exc))
        else:
            self.done.append((kind, due, time.monotonic(), response))

    def failures(self) -> list[tuple[str, Response | Exception]]:
        return [
            (kind, result)
            for kind, _, _, result in self.done
            if isinstance(result, Exception) or result.status != 200
        ]


class BlackoutCase(EngineCase):
    def listening(self) -> socket.socket:
        self.namespace = blackout.Namespace()
        self.addCleanup(self.namespace.delete)
        self.namespace.create()
        return self.namespace.listen()

    async def pause(self) -> None:
        # The program stops too. Otherwise its response would be lost and later retransmitted by the
        # guest's kernel, whose clock does not stop here, unlike that of a paused guest.
        self.guest.running.clear()
        await self.namespace.pause()

    async def agent_sees(self, back: asyncio.Event) -> None:
        """Do as the manager does once the guest accepts a new connection."""
        while True:
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(0.1):
                    _, writer = await asyncio.open_connection(*self.namespace_target())
                writer.close()
                break
            await asyncio.sleep(0.02)
        await self.flip(EdgeState.REPLAY)
        await self.engine.resend_lost(SERVICE)
        self.intake.gate.set()
        back.set()

    def stuck(self) -> bool:
        found = sockdiag.connections(*self.namespace_target())
        return any(connection.stuck for connection in found)

    def namespace_target(self) -> tuple[str, int]:
        return self.guest.address, self.guest.port

    @contextlib.asynccontextmanager
    async def blackout(self, seconds: float, shield: bool = True) -> AsyncIterator[list[float]]:
        """Pause, run the body, and resume ``seconds`` after the pause. Yields [from, to]."""
        span = [time.monotonic()]
        back = asyncio.Event()
        await self.pause()
        if shield:
            await self.flip(EdgeState.SHIELDED)
            self.intake.gate.clear()
        yield span
        await asyncio.sleep(max(0.0, span[0] + seconds - time.monotonic()))
        await self.namespace.resume()
        self.guest.running.set()
        span.append(time.monotonic())
        if shield:
            await asyncio.wait_for(self.agent_sees(back), 10)


class Shielded(BlackoutCase):
    async def carried(self, seconds: float) -> None:
        await self.flip(EdgeState.ARMED)
        for page in PAGES:
            await self.stored(page)
        load, end = Load(self, 0.02), asyncio.Event()
        async with Lag.watched() as lag:
            running = asyncio.create_task(load.run(end))
            await asyncio.sleep(0.5)
            async with self.blackout(seconds) as span:
                pass
            await asyncio.sleep(0.5)
            await self.flip(EdgeState.DRAIN)
            await self.flip(EdgeState.PASS)
            await asyncio.sleep(0.3)
            end.set()
            await running
        self.assertEqual([], load.failures())
        began, ended = span
        lag.together = await self.together(sum(began < d < ended for _, d, _, _ in load.done))
        lag.usual = p99([e - d for _, d, e, _ in load.done if e < began])
        during = [(k, d, e) for k, d, e, _ in load.done if began < d < ended]
        hits = p99([e - d for k, d, e in during if k == "hit"])
        reads = p99([e - ended for k, _, e in during if k == "miss"])
        writes = p99([e - ended for k, _, e in during if k == "write"])
        in_flight = max(
            [e - ended for k, d, e, _ in load.done if k == "miss" and d <= began < e] or [0]
        )
        print(
            f"blackout {seconds} s: {len(load.done)} requests, hits p99 {hits * 1e3:.0f} ms, "
            f"held reads overrun p99 {reads * 1e3:.0f} ms, writes {writes * 1e3:.0f} ms, "
            f"in-flight reads {in_flight * 1e3:.0f} ms; allowance {lag.allowance() * 1e3:.0f} ms"
        )
        self.assertLess(hits, 0.05 + lag.allowance())
        self.assertLess(reads, QUICK + lag.allowance())
        self.assertLess(writes, 0.3 + lag.allowance())  # mostly the intake of this test
        self.assertLess(in_flight, 0.3 + lag.allowance())
        bodies = [request.body for request in self.guest.seen if request.method == "POST"]
        self.assertEqual(len(bodies), len(set(bodies)))

    async def together(self, number: int) -> float:
        """Return the seconds for so many requests in parallel, which nothing holds."""
        began = time.monotonic()
        await asyncio.gather(*(self.get(f"/together/{n}") for n in range(number)))
        return time.monotonic() - began

    async def test_one_second(self) -> None:
        await self.carried(1.0)

    async def test_five_seconds(self) -> None:
        await self.carried(5.0)

    async def test_reads_in_flight_at_the_pause_are_sent_again(self) -> None:
        await self.flip(EdgeState.ARMED)
        await asyncio.gather(*(self.get(f"/warm/{n}") for n in range(8)))  # kept connections
        await self.pause()
        began = time.monotonic()
        reads = [asyncio.create_task(self.get(f"/flight/{n}")) for n in range(8)]
        write = asyncio.create_task(self.get("/write", method="POST", body=b"1"))
        await until(self.stuck)
        async with Lag.watched() as lag:
            async with self.blackout(began + 1.5 - time.monotonic()) as span:
                pass
            responses = await asyncio.gather(*reads)
        overrun = time.monotonic() - span[1]
        self.assertEqual({200}, {response.status for response in responses})
        print(f"in-flight reads over a blackout of 1.5 s: overrun {overrun * 1e3:.0f} ms")
        self.assertLess(overrun, 0.3 + lag.allowance())
        self.assertEqual(200, (await write).status)
        self.assertEqual(1, self.guest.count("/write"))

    async def test_stored_pages_in_flight_at_the_pause_come_from_the_cache(self) -> None:
        """The guest's kernel has acknowledged them on new connections, and nothing responds."""
        await self.flip(EdgeState.ARMED)
        for page in PAGES:
            await self.stored(page)
        self.guest.running.clear()
        reads = [asyncio.create_task(self.get(page)) for page in PAGES]
        async with asyncio.timeout(5):
            while len((await self.engine._edge.guests.descriptors()).waiting) < len(PAGES):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        async with self.blackout(3.0):
            responses = await asyncio.wait_for(asyncio.gather(*reads), 2)
        for response in responses:
            self.assertEqual(200, response.status)
            self.assertIn("hit", response.headers["cache-status"])

    async def test_a_second_try_on_a_kept_connection_is_cut_too(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.stored("/page")
        self.guest.closes_idle = True
        await self.get("/first")  # from here on, second tries have a connection
        self.guest.closes_idle = False
        await self.get("/next")  # and so have first tries
        await self.pause()
        reads = [asyncio.create_task(self.get(f"/flight/{n}")) for n in range(4)]
        reads.append(asyncio.create_task(self.get("/page")))
        await until(lambda: self.sent_reads() > 1)
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(b"2", (await reads.pop()).body)
        await self.namespace.resume()
        self.guest.running.set()
        await self.flip(EdgeState.REPLAY)
        await self.engine.resend_lost(SERVICE)
        self.assertEqual([200] * 4, [one.status for one in await asyncio.gather(*reads)])

    async def test_a_read_whose_response_is_to_be_stored_gets_the_warmed_page(self) -> None:
        """The edge has sent it through the cache, as it does with one in ten seconds of a page."""
        await self.flip(EdgeState.ARMED)
        await self.warm_page("/page")  # it has a length and may be stored
        await self.get("/other")
        await self.pause()
        read = asyncio.create_task(self.get("/page"))
        await until(lambda: self.sent_reads() > 0)
        await self.flip(EdgeState.SHIELDED)
        async with asyncio.timeout(5):
            response = await read
        self.assertIn("hit", response.headers["cache-status"])
        await self.namespace.resume()
        self.guest.running.set()

    async def test_an_edge_that_is_shielded_late_still_finds_the_stored_pages(self) -> None:
        """Many guests are silent, so it takes a while. No connection to the guest is left."""
        await self.flip(EdgeState.ARMED)
        for url in ("/direct", "/through-the-cache"):
            await self.warm_page(url)
        await self.get("/direct")  # further responses are not stored for some seconds
        self.guest.close_idle()
        await until(lambda: not sockdiag.connections(*self.namespace_target()))
        await self.pause()
        reads = [asyncio.create_task(self.get(url)) for url in ("/direct", "/through-the-cache")]
        await asyncio.sleep(0.5)
        await self.flip(EdgeState.SHIELDED)
        async with asyncio.timeout(5):
            responses = await asyncio.gather(*reads)
        for response in responses:
            self.assertIn("hit", response.headers["cache-status"])
        await self.namespace.resume()
        self.guest.running.set()

    def sent_reads(self) -> int:
        found = sockdiag.connections(*self.namespace_target())
        return sum(connection.unacknowledged > 0 for connection in found)


class LostWrites(BlackoutCase):
    """Writes that passed to the guest, and whose bytes the silence has swallowed."""

    async def lost(self, number: int) -> list[asyncio.Task[Response]]:
        """Send writes whose connection the guest accepts and whose request it never gets."""
        await self.namespace.drop_data()
        tasks = [
            asyncio.create_task(self.get(f"/w/{n}", method="POST", body=b"x"))
            for n in range(number)
        ]
        await until(lambda: self.unacknowledged() == number)
        return tasks

    def unacknowledged(self) -> int:
        found = sockdiag.connections(*self.namespace_target())
        return sum(connection.unacknowledged > 0 for connection in found)

    async def overruns(self, seconds: float) -> list[float]:
        """Return the seconds from the guest's return to each response."""
        await self.flip(EdgeState.ARMED)
        writes = await self.lost(4)
        began = time.monotonic()
        await self.flip(EdgeState.SHIELDED)
        await asyncio.sleep(seconds)
        await self.namespace.resume()
        back = time.monotonic()
        await self.flip(EdgeState.REPLAY)
        await self.engine.resend_lost(SERVICE)
        responses = await asyncio.gather(*writes)
        self.assertEqual({200}, {response.status for response in responses})
        for number in range(4):
            self.assertEqual(1, self.guest.count(f"/w/{number}"))
        return [began + response.seconds - back for response in responses]

    async def test_their_responses_come_soon_after_the_return(self) -> None:
        for seconds in (0.6, 2.2):
            with self.subTest(seconds=seconds):
                self.guest.seen.clear()
                async with Lag.watched() as lag:
                    late = max(await self.overruns(seconds))
                print(f"lost writes, silence of {seconds} s: overrun {late * 1e3:.0f} ms")
                self.assertLess(late, 0.15 + lag.allowance())
                await self.flip(EdgeState.PASS)

    async def test_without_the_rights_tcps_own_interval_applies(self) -> None:
        lost._warn_once.cache_clear()
        self.addCleanup(lost._warn_once.cache_clear)
        with (
            mock.patch.object(descriptors, "duplicate", side_effect=PermissionError("not allowed")),
            self.assertLogs("nova_cachemig.agent.engine.lost", "WARNING") as logs,
        ):
            for _ in range(2):
                self.guest.seen.clear()
                await self.overruns(0.6)
                await self.flip(EdgeState.PASS)
        self.assertEqual(1, len(logs.output))
        self.assertIn("not allowed", logs.output[0])

    async def test_another_socket_under_the_same_number_is_left_alone(self) -> None:
        """HAProxy closes connections, and the kernel uses their numbers again."""
        await self.flip(EdgeState.ARMED)
        write, _ = await self.lost(2)
        await until(self.stuck)
        stuck = next(c for c in sockdiag.connections(*self.namespace_target()) if c.stuck)
        ours = await self.engine._edge.guests.descriptors()
        other = next(fds for port, fds in ours.others.items() if port != stuck.source_port)
        for wrong in ({stuck.source_port: other}, {stuck.source_port: [0]}, {}):
            theirs = dataclasses.replace(ours, others=wrong)
            self.assertEqual({}, lost._requests(theirs, [stuck]))
        self.assertEqual([stuck.cookie], list(lost._requests(ours, [stuck])))
        await self.namespace.resume()
        self.assertEqual(200, (await write).status)


class Unattended(BlackoutCase):
    """The edge receives no change of state."""

    async def test_new_connections_survive_the_blackout_also_for_writes(self) -> None:
        async with Lag.watched() as lag:
            async with self.blackout(1.5, shield=False) as span:
                tasks = [asyncio.create_task(self.get(f"/r/{n}")) for n in range(10)]
                tasks += [
                    asyncio.create_task(self.get(f"/w/{n}", method="POST", body=b"x"))
                    for n in range(10)
                ]
            responses = await asyncio.gather(*tasks)
        overrun = time.monotonic() - span[1]
        self.assertEqual({200}, {response.status for response in responses})
        self.assertLess(overrun, 0.6 + lag.allowance())
        self.assertEqual(20, len({request.url for request in self.guest.seen}))
        self.assertEqual(20, len(self.guest.seen))

    async def test_armed_reads_survive_the_blackout(self) -> None:
        await self.flip(EdgeState.ARMED)
        for page in PAGES[:4]:
            await self.stored(page)
        ends: list[float] = []

        async def read(page: str) -> int:
            response = await self.get(page)
            ends.append(time.monotonic())
            return response.status

        async with Lag.watched() as lag:
            async with self.blackout(1.0, shield=False) as span:
                tasks = [asyncio.create_task(read(page)) for page in PAGES]
            statuses = await asyncio.gather(*tasks)
        self.assertEqual({200}, set(statuses))
        # One read has the idle connection, where TCP sends it again at its own intervals: 0.2 s,
        # 0.6 s and 1.5 s after the first time. The others have new connections.
        *others, last = (end - span[1] for end in sorted(ends))
        self.assertLess(others[-1], 0.6 + lag.allowance())
        self.assertLess(last, 0.8 + lag.allowance())

    async def test_a_write_in_flight_is_neither_cut_nor_sent_twice(self) -> None:
        reader, writer = await asyncio.open_connection(*self.edge)
        await exchange(reader, writer, "/first", "POST", body=b"x")
        self.guest.delays["/second"] = 0.3
        self.guest.arrived.clear()
        task = asyncio.create_task(exchange(reader, writer, "/second", "POST", body=b"x"))
        await self.guest.asked()
        async with self.blackout(1.0):
            pass
        self.assertEqual(200, (await task).status)
        self.assertEqual(1, self.guest.count("/second"))
        writer.close()

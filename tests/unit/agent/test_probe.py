"""The prober, on loopback sockets and with scripted responses."""

import asyncio
import contextlib
import errno
import gc
import os
import pathlib
import socket
import unittest
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent import probe
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.conf import probe as probe_conf
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Target


def open_files():
    return len(list(pathlib.Path(f"/proc/{os.getpid()}/fd").iterdir()))


class ProbeTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.conf = cfg.ConfigOpts()
        probe_conf.register(self.conf)
        self.conf([])

    def set(self, **options):
        for name, value in options.items():
            self.conf.set_override(name, value, "probe")
            self.addCleanup(self.conf.clear_override, name, "probe")

    async def listener(self, address="127.0.0.1"):
        self.accepted = []

        async def accept(reader, writer):
            self.accepted.append(await asyncio.gather(reader.read(), return_exceptions=True))
            writer.close()

        server = await asyncio.start_server(accept, address, 0)
        self.addCleanup(server.close)
        return Target(address, server.sockets[0].getsockname()[1])

    def refusing(self):
        """Return a target that refuses connections: its port is bound, but not listening."""
        sock = socket.socket()
        self.addCleanup(sock.close)
        sock.bind(("127.0.0.1", 0))
        return Target("127.0.0.1", sock.getsockname()[1]), sock


class RealSocketTest(ProbeTest):
    def setUp(self):
        super().setUp()
        self.prober = probe.TcpProber(self.conf)

    async def is_reachable(self, target, within=2.0):
        try:
            async with asyncio.timeout(within):
                await self.prober.wait_reachable(target, interval=0.02)
        except TimeoutError:
            return False
        return True

    @contextlib.asynccontextmanager
    async def attempts(self, count):
        """Leave the block after this many attempts."""
        made = asyncio.Semaphore(0)
        ask = self.prober._ask

        async def counted(*arguments):
            outcome = await ask(*arguments)
            made.release()
            return outcome

        with mock.patch.object(self.prober, "_ask", counted):
            yield
            async with asyncio.timeout(10):
                for _ in range(count):
                    await made.acquire()

    async def test_a_listening_guest_is_reachable(self):
        target = await self.listener()
        self.assertTrue(await self.is_reachable(target))

    async def test_a_listening_guest_is_reachable_over_ipv6(self):
        target = await self.listener("::1")
        self.assertTrue(await self.is_reachable(target))

    async def test_a_guest_that_refuses_is_not_reachable(self):
        target, _ = self.refusing()
        self.assertFalse(await self.is_reachable(target, within=0.05))

    async def test_closes_with_a_reset(self):
        target = await self.listener()
        self.assertTrue(await self.is_reachable(target))
        async with asyncio.timeout(2):
            while not self.accepted:  # noqa: ASYNC110 - the server side sends no event
                await asyncio.sleep(0.005)
        self.assertIsInstance(self.accepted[0][0], ConnectionResetError)

    async def test_waits_for_the_service(self):
        target, sock = self.refusing()
        async with self.attempts(5):
            task = asyncio.create_task(self.prober.wait_reachable(target, interval=0.01))
        self.assertFalse(task.done())
        sock.listen()
        await asyncio.wait_for(task, 1.0)

    async def test_no_descriptors_are_left(self):
        target, _ = self.refusing()
        gc.collect()
        before = open_files()  # sockets of an earlier test may still be closed meanwhile
        async with self.attempts(50):
            task = asyncio.create_task(self.prober.wait_reachable(target, interval=0.001))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.assertLessEqual(open_files(), before)

    async def test_one_attempt(self):
        target = await self.listener()
        self.assertEqual(
            Attempt(Reach.REACHABLE, "127.0.0.1"), await self.prober.try_guest(target, timeout=2.0)
        )
        target, _ = self.refusing()
        found = await self.prober.try_guest(target, timeout=2.0)
        self.assertEqual((Reach.REFUSED, True), (found.reach, found.reached))

    async def test_errors_of_an_attempt_are_told_apart(self):
        loop = asyncio.get_running_loop()
        for error, reach, detail in (
            (OSError(errno.ENETUNREACH, "Network is unreachable"), Reach.NO_ROUTE, ""),
            (OSError(errno.EHOSTUNREACH, "No route to host"), Reach.NO_NEIGHBOUR, ""),
            (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), Reach.SILENT, ""),
            (OSError(errno.EPERM, "Not permitted"), Reach.OTHER, "[Errno 1] Not permitted"),
        ):
            with self.subTest(reach), mock.patch.object(loop, "sock_connect", side_effect=error):
                found = await self.prober.try_guest(TARGET, timeout=2.0)
            self.assertEqual(Attempt(reach, None, detail), found)
        with mock.patch.object(probe.socket, "socket", side_effect=OSError(24, "no files")):
            found = await probe.try_guest(TARGET, timeout=2.0)
        self.assertEqual(Reach.OTHER, found.reach)

    async def test_an_attempt_ends_and_names_this_nodes_address(self):
        full = socket.socket()
        self.addCleanup(full.close)
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        target = Target("127.0.0.1", full.getsockname()[1])
        for _ in range(4):  # the queue of the listener is full: further SYNs get no response
            found = await probe.try_guest(target, timeout=0.1)
        self.assertEqual(Attempt(Reach.SILENT, "127.0.0.1"), found)

    async def test_not_an_address(self):
        for address in ("shop.example", "", "1.2.3", "1.2.3.4:80"):
            for call in (
                self.prober.wait_reachable(Target(address, 80), interval=0.02),
                self.prober.wait_silent(Target(address, 80), interval=0.02),
                self.prober.try_guest(Target(address, 80), timeout=0.02),
            ):
                with (
                    self.subTest(address),
                    self.assertRaisesRegex(ComponentError, "not an IP address"),
                ):
                    await call

    async def test_refusing_guest_is_not_silent(self):
        target, _ = self.refusing()
        with self.assertRaises(TimeoutError):
            await asyncio.wait_for(self.prober.wait_silent(target, interval=0.01), 0.6)

    async def test_out_of_descriptors_is_not_silence(self):
        target = await self.listener()
        broken = mock.patch.object(
            probe.socket, "socket", side_effect=OSError(errno.EMFILE, "too many open files")
        )
        with broken, self.assertLogs(probe.LOG.logger, "WARNING"), self.assertRaises(TimeoutError):
            await asyncio.wait_for(self.prober.wait_silent(target, interval=0.01), 0.5)


class Scripted(probe.TcpProber):
    """Responds after the time that ``delay`` returns; None: never."""

    def __init__(self, conf, delay):
        super().__init__(conf)
        self.delay, self.asked, self.open, self.most_open = delay, 0, 0, 0

    async def _ask(self, target, family):
        self.asked += 1
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        try:
            delay = self.delay(self.asked)
            if delay is None:
                await asyncio.Event().wait()
            await asyncio.sleep(delay)
        finally:
            self.open -= 1
        self._took(target, delay)
        return probe._Outcome.REACHABLE


TARGET = Target("127.0.0.1", 9)


class SilenceTest(ProbeTest):
    async def silent_after(self, prober, limit=3.0):
        """Return the seconds until silence; None: not within the limit."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await asyncio.wait_for(prober.wait_silent(TARGET, interval=0.01), limit)
        except TimeoutError:
            return None
        return loop.time() - began

    async def test_silence_of_a_quick_guest(self):
        prober = Scripted(self.conf, lambda n: 0.001 if n <= 30 else None)
        seconds = await self.silent_after(prober)
        self.assertIsNotNone(seconds)
        self.assertGreater(prober.asked, 34)
        self.assertLess(seconds, 1.5)

    async def test_one_lost_probe_is_not_silence(self):
        prober = Scripted(self.conf, lambda n: None if n % 7 == 0 else 0.001)
        self.assertIsNone(await self.silent_after(prober, 0.7))

    async def test_four_lost_in_a_row_are_not_silence(self):
        prober = Scripted(self.conf, lambda n: None if n % 30 in range(4) else 0.001)
        self.assertIsNone(await self.silent_after(prober, 0.8))

    async def test_slow_guest_is_not_silent(self):
        """A brownout: responses become ten times slower than ever before, but they arrive."""
        prober = Scripted(self.conf, lambda n: 0.005 if n <= 40 else 0.09)
        self.assertIsNone(await self.silent_after(prober, 1.5))

    async def test_timeout_follows_the_guest(self):
        prober = Scripted(self.conf, lambda n: None)
        for _ in range(100):
            prober._took(TARGET, 0.05)
        self.assertAlmostEqual(0.2, prober._overdue_after(TARGET))
        seconds = await self.silent_after(prober)
        self.assertGreater(seconds, 0.2)
        quick = Scripted(self.conf, lambda n: None)
        for _ in range(100):
            quick._took(TARGET, 0.001)
        self.assertLess(quick._overdue_after(TARGET), 0.1)
        self.assertIsNotNone(await self.silent_after(quick))

    async def test_open_probes_are_bounded(self):
        self.set(max_open=7, silent_after=100)
        prober = Scripted(self.conf, lambda n: None)
        await self.silent_after(prober, 0.3)
        self.assertEqual(7, prober.most_open)
        await asyncio.sleep(0)
        self.assertEqual(0, prober.open)

    async def test_old_probes_are_given_up(self):
        self.set(lifetime=0.05)
        prober = Scripted(self.conf, lambda n: None if n < 30 else 0.001)
        await asyncio.wait_for(prober.wait_reachable(TARGET, interval=0.01), 2.0)
        self.assertLessEqual(prober.most_open, 7)
        self.assertEqual(0, prober.open)

    async def test_known_guests_are_bounded(self):
        prober = probe.TcpProber(self.conf)
        for port in range(3000):
            prober._took(Target("127.0.0.1", port), 0.1)
        self.assertEqual(probe._REMEMBERED, len(prober._times))


class Counting(Scripted):
    """Counts the probes of each guest. ``silent``: those that do not respond."""

    def __init__(self, conf):
        super().__init__(conf, lambda n: 0.0)
        self.of, self.silent = {}, set()

    async def _ask(self, target, family):
        self.of[target] = self.of.get(target, 0) + 1
        self.delay = lambda _n: None if target in self.silent else 0.0
        return await super()._ask(target, family)


class BudgetTest(ProbeTest):
    GUESTS = [Target("127.0.0.1", port) for port in range(1, 201)]

    def setUp(self):
        super().setUp()
        self.prober = Counting(self.conf)
        self.tasks = []

    async def asyncTearDown(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.assertEqual([], [one for group in self.prober._series.values() for one in group])

    def start(self, wait, interval):
        self.tasks = [asyncio.create_task(wait(one, interval=interval)) for one in self.GUESTS]

    async def until(self, check):
        async with asyncio.timeout(60):
            while not check():  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def test_many_guests_that_respond_share_a_rate(self):
        self.set(least_timeout=1000.0, lifetime=3.0)  # no probe of a busy machine is overdue
        self.start(self.prober.wait_silent, 0.05)
        await self.until(lambda: len(self.prober.of) == len(self.GUESTS))
        before = dict(self.prober.of)
        await self.until(lambda: all(self.prober.of[one] > before[one] for one in self.GUESTS))
        series = self.prober._series[probe._Pace.CALM]
        self.assertEqual(200, len(series))
        for one in series:
            self.assertGreater(one._next - one._began, 0.9)

    async def test_one_of_many_that_falls_silent_is_found(self):
        self.start(self.prober.wait_silent, 0.05)
        await self.until(lambda: len(self.prober.of) == len(self.GUESTS))
        self.prober.silent.add(self.GUESTS[7])
        await asyncio.wait_for(self.tasks[7], 20)
        self.assertFalse(any(task.done() for task in self.tasks[8:]))
        others = [self.prober.of[one] for one in self.GUESTS[8:]]
        self.assertGreater(self.prober.of[self.GUESTS[7]], max(others))

    @mock.patch.object(probe, "_EXPECTED_FOR", 1000.0)
    async def test_a_guest_that_is_expected_back_is_probed_more_often(self):
        self.prober.silent.update(self.GUESTS)
        self.start(self.prober.wait_reachable, 0.02)
        await self.until(lambda: len(self.prober.of) == len(self.GUESTS))
        expected, other = self.GUESTS[3], self.GUESTS[4]
        self.prober.expect(expected)
        await self.until(lambda: self.prober.of[expected] > self.prober.of[other] + 5)
        self.prober.silent.clear()
        await asyncio.wait_for(self.tasks[3], 20)
        self.assertGreater(self.prober.of[expected], self.prober.of[other])

"""Two readings of the CPU times say more than the percentage."""

from __future__ import annotations

import unittest
from unittest import mock

from nova_cachemig.model.reading import Reading
from nova_cachemig.telemetry.nova import CpuLoads, NovaSource
from tests.unit.telemetry.config import conf

SECOND = 10**9


class CpuLoadsTest(unittest.TestCase):
    def setUp(self) -> None:
        self.loads = CpuLoads(max_hosts=2)

    def load(self, minute: int, percent: float, user: int, idle: int, host: str = "cmp1") -> float:
        return self.loads.load(Reading(host, 60.0 * minute, percent, user, user + idle))

    def test_with_more_digits(self) -> None:
        self.load(0, 0.0, 0, 0)
        self.assertAlmostEqual(12.5, self.load(1, 12.0, 60 * SECOND, 420 * SECOND), places=9)

    def test_a_restart_of_nova_compute_is_not_the_mean_since_boot(self) -> None:
        self.load(0, 50.0, 500 * SECOND, 500 * SECOND)
        # The monitor has forgotten: it states 49 % of all time, which is 0 % of the last minute.
        self.assertEqual(0.0, self.load(1, 49.0, 500 * SECOND, 560 * SECOND))

    def test_a_boot_of_the_host_uses_the_percentage(self) -> None:
        self.load(0, 50.0, 500 * SECOND, 500 * SECOND)
        self.assertEqual(20.0, self.load(1, 20.0, 2 * SECOND, 8 * SECOND))
        self.assertEqual(50.0, self.load(2, 20.0, 32 * SECOND, 38 * SECOND))

    def test_a_late_one_does_not_disturb_the_next(self) -> None:
        self.load(5, 50.0, 500 * SECOND, 500 * SECOND)
        self.assertEqual(30.0, self.load(2, 30.0, 100 * SECOND, 100 * SECOND))
        self.assertEqual(100.0, self.load(6, 30.0, 560 * SECOND, 500 * SECOND))

    def test_without_cpu_times_the_percentage_counts(self) -> None:
        self.assertEqual(7.0, self.loads.load(Reading("cmp1", 1.0, 7.0)))

    def test_memory_is_bounded(self) -> None:
        for host in ("a", "b", "c"):
            self.load(0, 10.0, 0, 0, host)
        self.assertEqual(50.0, self.load(1, 10.0, 30 * SECOND, 30 * SECOND, "b"))
        self.assertEqual(10.0, self.load(1, 10.0, 30 * SECOND, 30 * SECOND, "c"))


class NovaSourceTest(unittest.TestCase):
    def test_each_bus_has_a_server_and_a_deaf_one_is_named(self) -> None:
        made = conf(transport_urls=["rabbit://one/", "rabbit://two/"])
        source = NovaSource(made)
        with mock.patch("nova_cachemig.rpc.samples.RpcServer") as server:
            server.side_effect = [mock.Mock(listening=True), mock.Mock(listening=False)]
            source.start(mock.Mock())
        urls = [call.kwargs["url"] for call in server.call_args_list]
        self.assertEqual(["rabbit://one/", "rabbit://two/"], urls)
        [problem] = source.problems()
        self.assertIn("bus 2 of 2", problem)

    def test_without_urls_the_forecasters_bus_is_used(self) -> None:
        made = conf(forecaster={"transport_url": "rabbit://own/"})
        source = NovaSource(made)
        with mock.patch("nova_cachemig.rpc.samples.RpcServer") as server:
            source.start(mock.Mock())
        self.assertEqual("rabbit://own/", server.call_args.kwargs["url"])

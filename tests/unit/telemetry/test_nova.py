"""Notifications as Nova 34 sends them, and what is none."""

from __future__ import annotations

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.telemetry.nova import Readings

SECOND = 10**9


def unversioned(host: str, at: str, percent: float, **times: int) -> dict[str, Any]:
    """The payload of ``compute.metrics.update``."""
    values = {f"cpu.{name}.time": value for name, value in times.items()}
    metrics = [{"name": n, "value": v, "timestamp": at, "source": "x"} for n, v in values.items()]
    metrics.append({"name": "cpu.percent", "value": percent, "timestamp": at, "source": "x"})
    metrics.append({"name": "cpu.user.percent", "value": 0.9, "timestamp": at, "source": "x"})
    metrics.append({"name": "numa.membw.current", "timestamp": at, "numa_membw_values": {"0": 1}})
    return {"host": host, "nodename": host, "host_ip": "10.0.0.1", "metrics": metrics}


def versioned(host: str, at: str, percent: int) -> dict[str, Any]:
    """The payload of ``metrics.update``."""
    metric = {"name": "cpu.percent", "value": percent, "timestamp": at, "source": "x"}
    wrapped = {"nova_object.name": "MetricPayload", "nova_object.data": metric}
    body = {"host": host, "nodename": host, "host_ip": "10.0.0.1", "metrics": [wrapped]}
    return {"nova_object.name": "MetricsPayload", "nova_object.data": body}


class TheTwoForms(unittest.TestCase):
    def test_a_fraction_and_a_percentage_are_the_same_load(self) -> None:
        [one] = Readings().samples(unversioned("cmp1", "2026-03-01T12:00:00.250000", 0.37))
        [two] = Readings().samples(versioned("cmp1", "2026-03-01T12:00:00Z", 37))
        self.assertEqual(("cmp1", "cpu", 37.0), (one.host, one.metric, one.value))
        self.assertEqual((one.host, one.metric, one.value), (two.host, two.metric, two.value))
        self.assertEqual(1772366400.25, one.at)
        self.assertEqual(1772366400.0, two.at)

    def test_without_the_percentage_there_is_no_sample(self) -> None:
        payload = unversioned("cmp1", "2026-03-01T12:00:00", 0.3)
        payload["metrics"] = [m for m in payload["metrics"] if m["name"] != "cpu.percent"]
        self.assertEqual([], Readings().samples(payload))


class FromCpuTimes(unittest.TestCase):
    """Two readings of the counters say more than the percentage."""

    def load(self, readings: Readings, minute: int, percent: float, user: int, idle: int) -> float:
        at = f"2026-03-01T12:{minute:02d}:00"
        times = {"user": user, "kernel": 0, "iowait": 0, "idle": idle}
        [sample] = readings.samples(unversioned("cmp1", at, percent, **times))
        return sample.value

    def test_with_more_digits(self) -> None:
        readings = Readings()
        self.load(readings, 0, 0.0, 0, 0)
        self.assertAlmostEqual(
            12.5, self.load(readings, 1, 0.12, 60 * SECOND, 420 * SECOND), places=9
        )

    def test_a_restart_of_nova_compute_is_not_the_mean_since_boot(self) -> None:
        readings = Readings()
        self.load(readings, 0, 0.5, 500 * SECOND, 500 * SECOND)
        # its own memory is gone: it says 49 % of all time, which is 0 % of the last minute
        self.assertEqual(0.0, self.load(readings, 1, 0.49, 500 * SECOND, 560 * SECOND))

    def test_a_boot_of_the_host_takes_what_the_monitor_says(self) -> None:
        readings = Readings()
        self.load(readings, 0, 0.5, 500 * SECOND, 500 * SECOND)
        self.assertEqual(20.0, self.load(readings, 1, 0.2, 2 * SECOND, 8 * SECOND))
        self.assertEqual(50.0, self.load(readings, 2, 0.2, 32 * SECOND, 38 * SECOND))

    def test_a_late_one_does_not_disturb_the_next(self) -> None:
        readings = Readings()
        self.load(readings, 5, 0.5, 500 * SECOND, 500 * SECOND)
        self.assertEqual(30.0, self.load(readings, 2, 0.3, 100 * SECOND, 100 * SECOND))
        self.assertEqual(100.0, self.load(readings, 6, 0.3, 560 * SECOND, 500 * SECOND))


class Malformed(unittest.TestCase):
    def test_each_is_a_value_error(self) -> None:
        good = versioned("cmp1", "2026-03-01T12:00:00Z", 1)
        metric = good["nova_object.data"]["metrics"][0]["nova_object.data"]
        for payload in (
            {},
            {"host": "cmp1"},
            {"host": "", "metrics": []},
            {"host": 7, "metrics": []},
            {"host": "cmp1", "metrics": [7]},
            {"host": "cmp1", "metrics": [metric | {"value": "37"}]},
            {"host": "cmp1", "metrics": [metric | {"value": True}]},
            {"host": "cmp1", "metrics": [metric | {"timestamp": "yesterday"}]},
            {"nova_object.data": None},
        ):
            with self.subTest(payload=payload), self.assertRaises(ValueError):
                Readings().samples(payload)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(
                    st.sampled_from(
                        ["host", "metrics", "nova_object.data", "name", "value", "timestamp"]
                    ),
                    inner,
                    max_size=4,
                )
            ),
        )
    )
    def test_nothing_else_is_raised(self, payload: Any) -> None:
        try:
            samples = Readings().samples(payload)
        except ValueError:
            return
        self.assertEqual([], [s for s in samples if not s.host])

"""Notifications as Nova 34 sends them, and malformed ones."""

from __future__ import annotations

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute import metrics
from nova_cachemig.model.reading import Reading


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


class EventTest(unittest.TestCase):
    def test_each_format_has_its_event(self) -> None:
        self.assertTrue(metrics.is_relevant("compute.metrics.update", versioned=False))
        self.assertTrue(metrics.is_relevant("metrics.update", versioned=True))
        self.assertFalse(metrics.is_relevant("compute.metrics.update", versioned=True))
        self.assertFalse(metrics.is_relevant("metrics.update", versioned=False))
        self.assertFalse(metrics.is_relevant(None, versioned=True))


class FormsTest(unittest.TestCase):
    def test_a_fraction_and_a_percentage_are_the_same_load(self) -> None:
        one = metrics.read(unversioned("cmp1", "2026-03-01T12:00:00.250000", 0.37))
        two = metrics.read(versioned("cmp1", "2026-03-01T12:00:00Z", 37))
        self.assertEqual(Reading("cmp1", 1772366400.25, 37.0), one)
        self.assertEqual(Reading("cmp1", 1772366400.0, 37.0), two)

    def test_cpu_times_add_up(self) -> None:
        payload = unversioned("c", "2026-03-01T12:00:00", 0.1, user=3, kernel=2, iowait=1, idle=4)
        read = metrics.read(payload)
        assert read is not None
        self.assertEqual((6.0, 10.0), (read.busy, read.total))

    def test_without_the_percentage_there_is_no_reading(self) -> None:
        payload = unversioned("cmp1", "2026-03-01T12:00:00", 0.3)
        payload["metrics"] = [m for m in payload["metrics"] if m["name"] != "cpu.percent"]
        self.assertIsNone(metrics.read(payload))


class Malformed(unittest.TestCase):
    def test_each_is_a_value_error(self) -> None:
        good = versioned("cmp1", "2026-03-01T12:00:00Z", 1)
        metric = good["nova_object.data"]["metrics"][0]["nova_object.data"]
        for payload in (
            {},
            {"host": "cmp1"},
            {"host": "", "metrics": [metric]},
            {"host": 7, "metrics": [metric]},
            {"host": "cmp1", "metrics": [7]},
            {"host": "cmp1", "metrics": [metric | {"value": "37"}]},
            {"host": "cmp1", "metrics": [metric | {"value": True}]},
            {"host": "cmp1", "metrics": [metric | {"timestamp": "yesterday"}]},
            {"nova_object.data": None},
        ):
            with self.subTest(payload=payload), self.assertRaises(ValueError):
                metrics.read(payload)

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
            read = metrics.read(payload)
        except ValueError:
            return
        self.assertTrue(read is None or read.host)

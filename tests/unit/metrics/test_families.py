"""Families of each kind, and the question to the event loop."""

from __future__ import annotations

import asyncio
import threading
import unittest
from importlib import metadata

from prometheus_client import CollectorRegistry, generate_latest

from nova_cachemig.metrics.declared import BUILD, Kind, Metric
from nova_cachemig.metrics.families import DeclaredCollector, Values, on_loop
from nova_cachemig.model.waits import Waits

DECLARED = (
    BUILD,
    Metric("nova_cachemig_x_total", Kind.COUNTER, "X.", ("cause",)),
    Metric("nova_cachemig_y", Kind.GAUGE, "Y."),
    Metric("nova_cachemig_z_seconds", Kind.HISTOGRAM, "Z."),
    Metric("nova_cachemig_missing", Kind.GAUGE, "No value."),
)


def text(values: Values) -> str:
    registry = CollectorRegistry()
    registry.register(DeclaredCollector("agent", DECLARED, lambda: values))
    return generate_latest(registry).decode()


class DeclaredCollectorTest(unittest.TestCase):
    def test_each_kind(self) -> None:
        waits = Waits((0.5,))
        waits.add(0.1)
        waits.add(2.0)
        found = text(
            {
                "nova_cachemig_x_total": {"a": 1.0, "b": 2.0},
                "nova_cachemig_y": 3.0,
                "nova_cachemig_z_seconds": waits.copy(),
            }
        )
        lines = [line for line in found.splitlines() if not line.startswith("#")]
        self.assertIn(f'version="{metadata.version("nova-cachemig")}"', lines[0])
        self.assertEqual(
            [
                'nova_cachemig_x_total{cause="a"} 1.0',
                'nova_cachemig_x_total{cause="b"} 2.0',
                "nova_cachemig_y 3.0",
                'nova_cachemig_z_seconds_bucket{le="0.5"} 1.0',
                'nova_cachemig_z_seconds_bucket{le="+Inf"} 2.0',
                "nova_cachemig_z_seconds_count 2.0",
                "nova_cachemig_z_seconds_sum 2.1",
            ],
            lines[1:],
        )
        self.assertNotIn("nova_cachemig_missing", found)


class OnLoopTest(unittest.IsolatedAsyncioTestCase):
    async def test_the_values_are_taken_in_the_loop(self) -> None:
        threads = []

        def take() -> Values:
            threads.append(threading.current_thread())
            return {"y": 1.0}

        ask = on_loop(asyncio.get_running_loop(), take, {})
        self.assertEqual({"y": 1.0}, await asyncio.to_thread(ask))
        self.assertEqual([threading.main_thread()], threads)

    async def test_an_error_is_raised_in_the_thread_that_asks(self) -> None:
        def take() -> Values:
            raise ZeroDivisionError

        with self.assertRaises(ZeroDivisionError):
            await asyncio.to_thread(on_loop(asyncio.get_running_loop(), take, {}))

    async def test_a_loop_that_hangs_is_not_waited_for_and_not_asked_later(self) -> None:
        taken: list[bool] = []

        def take() -> Values:
            taken.append(True)
            return {}

        ask = on_loop(asyncio.get_running_loop(), take, {"responds": 0.0}, patience=0.01)
        self.assertEqual({"responds": 0.0}, ask())  # in the loop's thread, so the loop hangs
        done = asyncio.Event()
        asyncio.get_running_loop().call_soon(done.set)
        await done.wait()
        self.assertEqual([], taken)

    def test_a_loop_that_has_ended(self) -> None:
        loop = asyncio.new_event_loop()
        loop.close()
        self.assertEqual({"responds": 0.0}, on_loop(loop, dict, {"responds": 0.0})())

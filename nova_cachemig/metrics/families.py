"""Makes Prometheus's metric families of the daemons' numbers."""

from __future__ import annotations

import asyncio
import concurrent.futures
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Final

from prometheus_client import core
from prometheus_client.registry import Collector

from nova_cachemig.metrics.declared import BUILD, Kind, Metric
from nova_cachemig.model.waits import Histogram

PATIENCE: Final = 2.0
"""Seconds for which a scrape waits for the event loop."""

Value = float | Histogram
Values = Mapping[str, Value | Mapping[str, Value]]
"""By metric: its value; or, of one with a label, the values by the label's value."""


class DeclaredCollector(Collector):
    """Exposes the declared metrics that ``take`` has values for. ``take`` runs in any thread."""

    def __init__(
        self, component: str, declared: Sequence[Metric], take: Callable[[], Values]
    ) -> None:
        self._declared = declared
        self._take = take
        version = metadata.version("nova-cachemig")
        self._build = (component, version, platform.python_version())

    def collect(self) -> Iterator[core.Metric]:
        """Yield one family of each metric."""
        values = self._take()
        for metric in self._declared:
            if metric is BUILD:
                build = core.GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
                build.add_metric(self._build, 1)
                yield build
            elif (value := values.get(metric.name)) is not None:
                yield family(metric, value)


def family(metric: Metric, value: Value | Mapping[str, Value]) -> core.Metric:
    """Return the family with the values of a metric."""
    samples = value.items() if isinstance(value, Mapping) else [("", value)]
    made: core.Metric
    if metric.kind is Kind.HISTOGRAM:
        made = histogram = core.HistogramMetricFamily(
            metric.name, metric.help, labels=metric.labels
        )
        for label, one in samples:
            assert isinstance(one, Histogram), metric.name
            labels = [label] if metric.labels else []
            histogram.add_metric(labels, list(one.cumulative()), sum_value=one.total)
        return made
    kinds = {Kind.COUNTER: core.CounterMetricFamily, Kind.GAUGE: core.GaugeMetricFamily}
    simple = kinds[metric.kind](metric.name, metric.help, labels=metric.labels)
    for label, one in samples:
        assert not isinstance(one, Histogram), metric.name
        simple.add_metric([label] if metric.labels else [], one)
    return simple


def on_loop(
    loop: asyncio.AbstractEventLoop,
    take: Callable[[], Values],
    otherwise: Values,
    patience: float = PATIENCE,
) -> Callable[[], Values]:
    """Return a function for other threads that calls ``take`` in the event loop.

    It returns ``otherwise`` if the loop does not respond within ``patience`` seconds.
    """

    def ask() -> Values:
        asked: concurrent.futures.Future[Values] = concurrent.futures.Future()

        def respond() -> None:
            if not asked.set_running_or_notify_cancel():
                return  # too late
            try:
                asked.set_result(take())
            except Exception as exc:
                asked.set_exception(exc)

        try:
            loop.call_soon_threadsafe(respond)
            return asked.result(patience)
        except (TimeoutError, RuntimeError):  # it hangs, or has ended
            return otherwise
        finally:
            asked.cancel()

    return ask

"""Samples that Nova's compute hosts report over the exchange of nova-cachemig.

The notification driver in nova-compute receives Nova's ``metrics.update`` notifications and passes
the load on (``compute/metrics.py``). So the forecaster never touches Nova's exchange or queues, and
needs no messaging driver for Nova's notifications.

A reading holds the CPU times since the host's boot. The load between two readings is computed from
these. This has more digits than the monitor's percentage. It is also correct after a restart of
nova-compute, when the percentage is the mean since boot.
"""

from __future__ import annotations

import threading
from typing import Final

from oslo_config import cfg

from nova_cachemig.model.load import Sample
from nova_cachemig.model.reading import Reading
from nova_cachemig.rpc import samples
from nova_cachemig.rpc.server import RpcServer
from nova_cachemig.telemetry.source import SampleSink, Source

METRIC: Final = "cpu"


class CpuLoads:
    """Converts readings to loads; keeps the last CPU times of at most ``max_hosts`` hosts."""

    def __init__(self, max_hosts: int) -> None:
        self._max_hosts = max_hosts
        self._last: dict[str, tuple[float, float, float]] = {}

    def load(self, reading: Reading) -> float:
        """Per cent since the last reading; the monitor's own percentage without one."""
        if reading.busy is None or reading.total is None:
            return reading.percent
        before = self._last.get(reading.host)
        if before is None or reading.at > before[0]:
            if before is None and len(self._last) >= self._max_hosts:
                return reading.percent
            self._last[reading.host] = (reading.at, reading.busy, reading.total)
        if before is None:
            return reading.percent
        at, busy, total = before
        if reading.at <= at or reading.total <= total or reading.busy < busy:
            return reading.percent  # late or repeated, or the host has rebooted
        return min(100.0 * (reading.busy - busy) / (reading.total - total), 100.0)


class NovaSource(Source):
    """Listens on each bus of ``[telemetry] transport_urls``, or on that of the forecaster."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._loads = CpuLoads(conf.telemetry.max_hosts)
        self._lock = threading.Lock()
        self._servers: list[RpcServer] = []

    def start(self, sink: SampleSink) -> None:
        """Listen; a bus that is down is tried again until it is up."""

        def receive(reading: Reading) -> None:
            with self._lock:
                value = self._loads.load(reading)
            sink.add([Sample(reading.host, METRIC, reading.at, value)], live=True)

        own = self._conf.forecaster
        for url in self._conf.telemetry.transport_urls or [own.transport_url]:
            server = samples.server(
                self._conf, self._conf.telemetry.topic, own.host, url, receive, sink.malformed
            )
            self._servers.append(server)
            server.start()

    def poll(self, since: float, now: float) -> None:
        """Do nothing: the hosts send their readings."""

    def stop(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.stop()

    def problems(self) -> list[str]:
        """One sentence for each bus on which nothing can be received now."""
        count = len(self._servers)
        return [
            f"message bus {number} of {count} cannot be used: the load of its hosts is unknown"
            for number, server in enumerate(self._servers, 1)
            if not server.listening
        ]

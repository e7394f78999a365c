"""Checks samples, counts them and stores them in the history.

A sample is rejected if it is not finite, negative, absurdly large, of an unknown host, from the
future, older than the history, or a repeat. Each reason has its own count. A negative load that is
only rounding is stored as 0.

A host's clock is considered wrong when its last live samples all arrived early or late by about the
same amount, and by more than ``clock_skew``. Its samples are then moved by that amount. A backlog
delivered in one go has falling delays, and stays where it is.
"""

from __future__ import annotations

import collections
import math
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.model.load import CEILING, LoadMatrix, Sample, clamped
from nova_cachemig.telemetry import history
from nova_cachemig.telemetry.history import AddResult, Ring
from nova_cachemig.telemetry.source import SampleSink

LOG = log.getLogger(__name__)

DAY: Final = 86400.0
WITNESSES: Final = 5
"""Number of consecutive live samples that must agree on a clock's error."""

INSTANCE_CELLS: Final = 5
"""Length of an instance's cell, in cells of a host."""

METRICS: Final = 16
"""Maximum number of metrics kept, for hosts and for instances each."""


class Collector(SampleSink):
    """Stores samples in the history; thread-safe. ``clock`` returns UNIX seconds."""

    def __init__(self, conf: cfg.ConfigOpts, clock: Callable[[], float]) -> None:
        self._options = conf.telemetry
        self._metric = conf.forecaster.metric
        self._clock = clock
        self._known = frozenset(self._options.known_hosts)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._counts: collections.Counter[str] = collections.Counter()
        self._hosts: dict[str, Ring] = {}
        self._instances: dict[str, Ring] = {}
        self._where: dict[str, str] = {}  # instance → host of its newest sample
        self._lags: dict[str, collections.deque[float]] = {}
        self._logged: set[str] = set()
        self._path = Path(self._options.history_file)

    def add(self, samples: Sequence[Sample], *, live: bool) -> None:
        """Store each sample, or count the reason for rejecting it."""
        now = self._clock()
        with self._lock:
            for sample in samples:
                self._counts[self._sample(sample, now, live)] += 1
            self._arrived.notify_all()

    def malformed(self, what: str) -> None:
        """Count malformed input and log the first occurrence."""
        with self._lock:
            self._counts["malformed"] += 1
            self._arrived.notify_all()
            self._once("malformed", "malformed sample: %s", what)

    def counts(self) -> dict[str, int]:
        """Return the number of samples taken, and the number rejected for each reason."""
        with self._lock:
            return dict(self._counts)

    def wait_for(self, number: int, timeout: float) -> bool:
        """Wait until ``number`` samples were taken or rejected; False after ``timeout`` seconds."""
        with self._arrived:
            return self._arrived.wait_for(lambda: self._counts.total() >= number, timeout)

    def matrix(self, metric: str, now: float, step: float, max_silence: float) -> LoadMatrix:
        """Return the history of each host that has a sample from the last ``max_silence`` s."""
        with self._lock:
            ring = self._hosts.get(metric)
            if ring is None:
                return LoadMatrix.empty(step)
            alive = [name for name, at in ring.last().items() if at >= now - max_silence]
            return ring.matrix(now, step, sorted(alive))

    def instances(self, metric: str, now: float, span: float) -> dict[str, float]:
        """Return the mean load of each instance over the last ``span`` seconds."""
        with self._lock:
            ring = self._instances.get(metric)
            if ring is None or not len(ring):
                return {}
            alive = [name for name, at in ring.last().items() if at >= now - span]
            matrix = ring.matrix(now, span, alive)
        column = matrix.values[:, -1].tolist() if matrix.values.size else []
        pairs = zip(matrix.hosts, column, strict=False)
        return {name: value for name, value in pairs if math.isfinite(value)}

    def host_of(self, instance: str) -> str | None:
        """Return the host of the instance's newest sample; None if there is none."""
        with self._lock:
            return self._where.get(instance)

    def latest(self, metric: str, now: float, span: float = 900.0) -> dict[str, float]:
        """Return the mean load of each host that has samples from the last ``span`` seconds."""
        matrix = self.matrix(metric, now, span, span)
        column = matrix.values[:, -1].tolist() if matrix.values.size else []
        pairs = zip(matrix.hosts, column, strict=False)
        return {host: value for host, value in pairs if math.isfinite(value)}

    def silent(self, metric: str, now: float, max_silence: float) -> dict[str, float]:
        """Return the hosts without a recent sample, with the time of their newest one, UNIX s."""
        with self._lock:
            ring = self._hosts.get(metric)
            last = ring.last() if ring is not None else {}
        return {host: at for host, at in last.items() if at < now - max_silence}

    def newest_at(self) -> float:
        """Return the time of the newest sample of any host, UNIX s; 0 if there is none."""
        with self._lock:
            return max((ring.newest_at() for ring in self._hosts.values()), default=0.0)

    def load(self) -> None:
        """Load the history from disk. Damage is logged; it raises nothing."""
        kept, where = history.ring_names(self._path), history.read_instance_hosts(self._path)
        with self._lock:
            rings = {name: self._ring_named(name) for name in kept[: 2 * METRICS]}
            problems = history.read(self._path, rings)
            known = {name for ring in self._instances.values() for name in ring.last()}
            self._where = {name: host for name, host in where.items() if name in known}
        for problem in problems:
            LOG.warning("%s", problem)

    def save(self) -> None:
        """Write the history to disk; raises OSError."""
        with self._lock:
            arrays = {
                key: value
                for kind, rings in (("host", self._hosts), ("instance", self._instances))
                for name, ring in rings.items()
                for key, value in ring.to_arrays(f"{kind}:{name}").items()
            }
            arrays |= history.instance_hosts_array(self._where)
        history.save(self._path, arrays)

    def _sample(self, sample: Sample, now: float, live: bool) -> str:
        if not (math.isfinite(sample.value) and math.isfinite(sample.at)):
            return "not_finite"
        value = clamped(sample.value)
        if value < 0 or sample.at < 0:
            return "negative"
        if value > CEILING:
            return "absurd"
        if self._known and sample.host not in self._known:
            self._once(sample.host, "samples of an unknown host: %s", sample.host)
            return "unknown_host"
        at = self._corrected(sample, now) if live else sample.at
        if at > now + self._options.clock_skew:
            self._once(sample.host, "samples from the future: check the clock of %s", sample.host)
            return "future"
        ring = self._ring(sample.metric, of_instances=sample.instance is not None)
        if ring is None:
            return AddResult.FULL.value
        added = ring.add(sample.instance or sample.host, at, value, sample.at)
        if sample.instance is not None and added is AddResult.TAKEN:
            self._where[sample.instance] = sample.host
            if len(self._where) > 2 * self._options.max_instances:
                known = {name for ring in self._instances.values() for name in ring.last()}
                self._where = {k: v for k, v in self._where.items() if k in known}
        return added.value

    def _corrected(self, sample: Sample, now: float) -> float:
        """Return the time of the measurement by the local clock, UNIX s."""
        if sample.host not in self._lags and len(self._lags) >= self._options.max_hosts:
            return sample.at
        lags = self._lags.setdefault(sample.host, collections.deque(maxlen=WITNESSES))
        lags.append(now - sample.at)
        skew, allowed = min(lags, key=abs), self._options.clock_skew
        if abs(skew) <= allowed or len(lags) < WITNESSES or max(lags) - min(lags) > allowed:
            return sample.at
        self._counts["skewed"] += 1
        self._once(f"{sample.host} skew", "the clock of %s is off by %.0f s", sample.host, -skew)
        return sample.at + skew

    def _ring(self, metric: str, *, of_instances: bool) -> Ring | None:
        rings = self._instances if of_instances else self._hosts
        ring = rings.get(metric)
        if ring is None and len(rings) < METRICS:
            ring = rings[metric] = self._new_ring(metric, of_instances=of_instances)
        return ring

    def _new_ring(self, metric: str, *, of_instances: bool) -> Ring:
        options = self._options
        cell = float(options.resolution) * (INSTANCE_CELLS if of_instances else 1)
        long = metric == self._metric and not of_instances
        span = options.keep if long else min(options.keep, DAY)
        rows = options.max_instances if of_instances else options.max_hosts
        return Ring(resolution=cell, width=max(int(span // cell), 2), max_rows=rows)

    def _ring_named(self, name: str) -> Ring:
        """Return the ring for a name in the file, such as ``host:cpu``."""
        kind, _, metric = name.partition(":")
        rings = self._instances if kind == "instance" else self._hosts
        return rings.setdefault(metric, self._new_ring(metric, of_instances=kind == "instance"))

    def _once(self, key: str, message: str, *args: object) -> None:
        if key not in self._logged and len(self._logged) < 1000:
            self._logged.add(key)
            LOG.warning(message, *args)

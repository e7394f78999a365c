"""The main loop of the forecaster: poll, forecast, send, save. Each step can fail on its own.

One thread makes the forecasts. Each source has a polling thread, so that a Prometheus that does not
respond delays no other source. oslo.messaging has its own threads.
"""

from __future__ import annotations

import dataclasses
import math
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from oslo_config import cfg
from oslo_log import log
from stevedore import driver, exception

from nova_cachemig.forecast.score import Judge
from nova_cachemig.model.load import Forecast, LoadMatrix
from nova_cachemig.model.snapshot import HostLoad, Snapshot
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.snapshots import SchedulersClient
from nova_cachemig.telemetry import source
from nova_cachemig.telemetry.collector import Collector

LOG = log.getLogger(__name__)

NAMESPACE: Final = "nova_cachemig.forecasters"
CPU: Final = "cpu"
INSTANCE_SPAN: Final = 3600.0
"""Maximum window over which an instance's load is averaged, in seconds."""


class ConfigError(Exception):
    """The configuration is invalid; the text is one sentence."""


@dataclasses.dataclass(frozen=True, slots=True)
class Round:
    """One forecast with its inputs. ``seconds`` is how long it took."""

    at: float
    seconds: float
    matrix: LoadMatrix
    forecast: Forecast
    snapshot: Snapshot
    wire: dict[str, Any]


class Daemon:
    """``clock`` returns UNIX seconds. Raises ConfigError. Does no I/O before :meth:`start`."""

    def __init__(self, conf: cfg.ConfigOpts, clock: Callable[[], float] = time.time) -> None:
        self.conf = conf
        self.clock = clock
        self.faults = Faults()
        self.collector = Collector(conf, clock)
        try:
            self.sources = source.load(conf)
        except source.SourceError as exc:
            raise ConfigError(str(exc)) from exc
        self.forecaster = _forecaster(conf.forecaster.method)
        options = conf.forecaster
        _check_topics(options.topic, options.scheduler_topic, conf.telemetry.topic)
        self._schedulers = SchedulersClient(
            conf,
            options.scheduler_topic,
            options.transport_url,
            self.faults,
            max_age=3.0 * options.interval,
        )
        self._run = uuid.uuid4().hex[:12]
        self._sequence = 0
        self._saved_at = clock()
        self._over = threading.Event()
        self.latest: Round | None = None
        self.judge = Judge()

    def start(self) -> None:
        """Load the history and start the sources."""
        self.collector.load()
        for each in self.sources.values():
            each.start(self.collector)

    def run(self, after_round: Callable[[], None] = lambda: None) -> None:
        """Forecast until :meth:`stop`, then stop the sources and save the history.

        ``after_round`` is called after each forecast.
        """
        interval = float(self.conf.forecaster.interval)
        pollers = [
            threading.Thread(
                target=self._poll_on, args=(name,), name=f"cachemig-{name}", daemon=True
            )
            for name in self.sources
        ]
        for poller in pollers:
            poller.start()
        while not self._over.wait(interval):
            self.forecast()
            after_round()
        for each in self.sources.values():
            each.stop()
        self._schedulers.stop()
        self.save()

    def stop(self) -> None:
        """End :meth:`run`; safe in a signal handler."""
        self._over.set()

    def step(self) -> Round | None:
        """Poll every source once, then :meth:`forecast`."""
        for name in self.sources:
            self.poll(name)
        return self.forecast()

    def poll(self, name: str) -> None:
        """Fetch new samples from one source; never raises."""
        cause = f"source {name} cannot be read"
        now = self.clock()
        since = max(self.collector.newest_at(), now - self.conf.telemetry.keep)
        try:
            self.sources[name].poll(since, now)
        except source.SourceError as exc:
            self.faults.note(cause, exc)
        except Exception as exc:  # a third-party source: the others go on
            self.faults.note(cause, exc, trace=True)
        else:
            self.faults.recovered(cause)

    def forecast(self) -> Round | None:
        """Forecast, send the snapshot to the schedulers, save if due. Never raises."""
        try:
            made = self.latest = latest = self._make_round()
            self._schedulers.send(made.wire)
            self.faults.recovered("no forecast could be made")
        except Exception as exc:  # later samples may be fine; the snapshot gets stale meanwhile
            self.faults.note("no forecast could be made", exc, trace=True)
            latest = None
        else:
            self._judge(made)
        if self.clock() - self._saved_at >= self.conf.telemetry.save_interval:
            self.save()
        return latest

    def save(self) -> None:
        """Write the history to disk; never raises."""
        cause = "the history cannot be saved"
        self._saved_at = self.clock()
        try:
            self.collector.save()
            self.faults.recovered(cause)
        except OSError as exc:
            self.faults.note(cause, exc)

    def problems(self) -> list[str]:
        """The reasons why samples are missing now, one sentence each."""
        return [f"{name}: {what}" for name, s in self.sources.items() for what in s.problems()]

    def send_counts(self) -> dict[str, int]:
        """Return the number of snapshots sent, and dropped in favour of newer ones."""
        counts = self._schedulers.counts()
        return {"sent": counts.sent, "dropped": counts.dropped}

    def _judge(self, latest: Round) -> None:
        """Score an earlier forecast; never raises: the score is for the operator only."""
        try:
            self.judge.judge(latest.matrix)
            self.judge.keep(latest.forecast)
        except Exception as exc:
            self.faults.note("the forecasts could not be judged", exc, trace=True)

    def _poll_on(self, name: str) -> None:
        while not self._over.is_set():
            self.poll(name)
            self._over.wait(self.conf.forecaster.interval)

    def _make_round(self) -> Round:
        options, now, began = self.conf.forecaster, self.clock(), time.monotonic()
        matrix = self.collector.matrix(options.metric, now, options.step, options.max_silence)
        forecast = self.forecaster.forecast(matrix, float(options.horizon))
        self._sequence += 1
        span = min(INSTANCE_SPAN, float(options.horizon))
        instances = self.collector.instances(CPU, now, span) if options.send_instances else {}
        snapshot = Snapshot(
            run=self._run,
            sequence=self._sequence,
            made_at=forecast.made_at,
            horizon=forecast.horizon,
            metric=options.metric,
            method=forecast.method,
            levels=forecast.levels,
            hosts=hosts(forecast),
            instances=instances,
        )
        wire = snapshot.to_wire()
        seconds = time.monotonic() - began
        LOG.debug("forecast of %d hosts in %.2f s", len(snapshot.hosts), seconds)
        if seconds > options.interval:
            self.faults.note("a forecast took longer than the interval", f"{seconds:.1f} s")
        return Round(now, seconds, matrix, forecast, snapshot, wire)


def hosts(forecast: Forecast) -> dict[str, HostLoad]:
    """Return the forecasts for the schedulers; hosts whose forecast is not finite are left out."""
    kept = {}
    for name, host in forecast.hosts.items():
        if all(math.isfinite(x) for x in (host.mean, *host.peak)):
            peak = tuple(sorted(max(x, 0.0) for x in host.peak))
            kept[name] = HostLoad(max(host.mean, 0.0), peak)
    return kept


def _check_topics(*topics: str) -> None:
    # One topic for two contracts would hand each server requests that it does not know.
    if len(set(topics)) < len(topics):
        raise ConfigError(
            "[forecaster] topic, [forecaster] scheduler_topic and [telemetry] topic must differ: "
            + ", ".join(topics)
        )


def _forecaster(name: str) -> Any:
    try:
        return driver.DriverManager(NAMESPACE, name, invoke_on_load=True).driver
    except exception.NoMatches as exc:
        raise ConfigError(f"[forecaster] method: no forecaster is named {name!r}") from exc

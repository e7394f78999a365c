"""Samples from Nova's ``metrics.update`` notifications.

A compute service with ``compute_monitors = cpu.virt_driver`` sends one with each resource update,
about every 60 s. There are two forms: ``compute.metrics.update`` (publisher ``compute.<node>``,
percentages as fractions) and, with versioned notifications, ``metrics.update`` (publisher
``nova-compute:<host>``, whole per cent).

Both forms hold the CPU times since the host's boot, in ns. The load between two notifications is
computed from these. This has more digits than the percentage. It is also correct after a restart of
nova-compute, when the percentage is the mean since boot.
"""

from __future__ import annotations

import dataclasses
import datetime
import threading
from collections.abc import Iterable, Mapping
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry.source import SampleSink, Source, SourceError

LOG = log.getLogger(__name__)

EVENTS: Final = r"^(compute\.)?metrics\.update$"
_BUSY: Final = ("cpu.user.time", "cpu.kernel.time", "cpu.iowait.time")
_IDLE: Final = "cpu.idle.time"
_PERCENT: Final = "cpu.percent"
STOP_LIMIT: Final = 5.0
"""Maximum time to stop listening, in seconds."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Times:
    at: float
    busy: float
    total: float


class Readings:
    """Converts payloads to samples; keeps the last CPU times of each host."""

    def __init__(self) -> None:
        self._last: dict[str, _Times] = {}

    def samples(self, payload: Mapping[str, Any]) -> list[Sample]:
        """Return the samples of a notification of either form; ValueError if it is malformed."""
        try:
            versioned = "nova_object.data" in payload
            body = payload["nova_object.data"] if versioned else payload
            host = body["host"]
            if not isinstance(host, str) or not host:
                raise ValueError(f"host {host!r}")
            metrics = list(_metrics(body["metrics"], versioned))
        except (KeyError, TypeError, AttributeError, ValueError) as exc:
            raise ValueError(f"not a metrics.update payload: {exc!r}") from exc
        values = {name: value for name, value, _ in metrics}
        if _PERCENT not in values:
            return []
        at = next(at for name, _, at in metrics if name == _PERCENT)
        return [Sample(host, "cpu", at, self._load(host, at, values))]

    def _load(self, host: str, at: float, values: Mapping[str, float]) -> float:
        """Per cent since the last reading; the monitor's own percentage without one."""
        if not all(name in values for name in (*_BUSY, _IDLE)):
            return values[_PERCENT]
        busy = sum(values[name] for name in _BUSY)
        now = _Times(at, busy, busy + values[_IDLE])
        before = self._last.get(host)
        if before is None or at > before.at:
            self._last[host] = now
        if before is None or at <= before.at or now.total <= before.total or busy < before.busy:
            return values[_PERCENT]  # first, late or repeated, or the host has rebooted
        return min(100.0 * (busy - before.busy) / (now.total - before.total), 100.0)


def _metrics(items: Iterable[Any], versioned: bool) -> Iterable[tuple[str, float, float]]:
    """Name, value and time (UNIX s) of each metric that has a single value."""
    for item in items:
        metric = item["nova_object.data"] if versioned else item
        name, value = metric["name"], metric.get("value")
        if value is None:
            continue  # memory bandwidth of NUMA nodes has several
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{name} is {value!r}")
        scale = 100.0 if name.endswith(".percent") and not versioned else 1.0
        yield name, value * scale, _seconds(metric["timestamp"])


def _seconds(text: str) -> float:
    time = datetime.datetime.fromisoformat(text)
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return time.timestamp()


class _Endpoint:
    """Listens at priority ``info`` only, which Nova uses: no other queue is bound."""

    filter_rule = oslo_messaging.NotificationFilter(event_type=EVENTS)

    def __init__(self, sink: SampleSink) -> None:
        self._sink = sink
        self._readings = Readings()
        self._lock = threading.Lock()

    def info(
        self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any
    ) -> None:
        """Handle one notification."""
        try:
            with self._lock:
                samples = self._readings.samples(payload)
        except ValueError as exc:
            self._sink.malformed(f"{event_type} of {publisher_id}: {exc}")
            return
        self._sink.add(samples, live=True)


class NovaSource(Source):
    """Listens to Nova's notifications in its own listener pool.

    If the bus is down, it connects later. The pool's queue outlives the forecaster, which reads the
    backlog after a restart. The operator's guide says how to bound the queue.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._options = conf.telemetry
        if not self._options.notification_pool:
            raise SourceError(
                "[telemetry] notification_pool is empty: other listeners would lose notifications"
            )
        self._server: Any = None
        self._transport: Any = None
        self._stopped = threading.Event()

    def start(self, sink: SampleSink) -> None:
        """Connect in a thread: while the bus is down, connecting blocks."""
        threading.Thread(
            target=self._listen, args=(sink,), name="cachemig-notifications", daemon=True
        ).start()

    def _listen(self, sink: SampleSink) -> None:
        options = self._options
        try:
            self._transport = oslo_messaging.get_notification_transport(
                self._conf, url=options.notification_transport_url
            )
            targets = [
                oslo_messaging.Target(exchange=options.notification_exchange, topic=topic)
                for topic in options.notification_topics
            ]
            server = oslo_messaging.get_notification_listener(
                self._transport,
                targets,
                [_Endpoint(sink)],
                executor="threading",
                pool=options.notification_pool,
            )
            server.start(override_pool_size=1)  # in order, as the CPU times must be
        except Exception:
            LOG.exception("cannot listen to Nova's notifications")
            return
        self._server = server
        LOG.info("listening to Nova's notifications, pool %s", options.notification_pool)
        if self._stopped.is_set():
            self._end()

    def poll(self, since: float, now: float) -> None:
        """Do nothing: Nova sends the notifications."""

    def stop(self) -> None:
        """Stop listening."""
        self._stopped.set()
        ending = threading.Thread(target=self._end, name="cachemig-notifications", daemon=True)
        ending.start()
        ending.join(STOP_LIMIT)

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        try:
            server.stop()
            server.wait()
            self._transport.cleanup()
        except Exception:
            LOG.exception("the listener for Nova's notifications did not stop cleanly")

"""Samples from Nova's ``metrics.update`` notifications.

A compute with ``compute_monitors = cpu.virt_driver`` sends them at each look at its resources,
about every 60 s: as ``compute.metrics.update`` (publisher ``compute.<node>``; percentages as
fractions) and, where versioned notifications are on, as ``metrics.update`` (publisher
``nova-compute:<host>``; whole per cent). Both hold the CPU times since the boot of the host, in
ns: from two of them follows the load between with more digits than the percentage has, and
without the mistake that the percentage is the mean since boot when nova-compute has just been
started.
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
from nova_cachemig.telemetry.source import Source, SourceError, Take

LOG = log.getLogger(__name__)

EVENTS: Final = r"^(compute\.)?metrics\.update$"
_BUSY: Final = ("cpu.user.time", "cpu.kernel.time", "cpu.iowait.time")
_IDLE: Final = "cpu.idle.time"
_PERCENT: Final = "cpu.percent"
STOP_LIMIT: Final = 5.0
"""Seconds that the end of listening may take."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Times:
    at: float
    busy: float
    total: float


class Readings:
    """Turns payloads into samples; remembers the CPU times of each host."""

    def __init__(self) -> None:
        self._last: dict[str, _Times] = {}

    def samples(self, payload: Mapping[str, Any]) -> list[Sample]:
        """The samples of one notification of either form; ValueError if it is malformed."""
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
        """Per cent since the last reading; what the monitor says where there is none."""
        if not all(name in values for name in (*_BUSY, _IDLE)):
            return values[_PERCENT]
        busy = sum(values[name] for name in _BUSY)
        now = _Times(at, busy, busy + values[_IDLE])
        before = self._last.get(host)
        if before is None or at > before.at:
            self._last[host] = now
        if before is None or at <= before.at or now.total <= before.total or busy < before.busy:
            return values[_PERCENT]  # first, late or repeated, or the host was booted anew
        return min(100.0 * (busy - before.busy) / (now.total - before.total), 100.0)


def _metrics(items: Iterable[Any], versioned: bool) -> Iterable[tuple[str, float, float]]:
    """Name, value and UNIX seconds of each metric that has one value."""
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
    moment = datetime.datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=datetime.UTC)
    return moment.timestamp()


class _Endpoint:
    """Only ``info``: Nova sends these at that priority, and no other queue is bound then."""

    filter_rule = oslo_messaging.NotificationFilter(event_type=EVENTS)

    def __init__(self, take: Take) -> None:
        self._take = take
        self._readings = Readings()
        self._lock = threading.Lock()

    def info(
        self, ctxt: Any, publisher_id: str, event_type: str, payload: Any, metadata: Any
    ) -> None:
        """One notification."""
        try:
            with self._lock:
                samples = self._readings.samples(payload)
        except ValueError as exc:
            self._take.malformed(f"{event_type} of {publisher_id}: {exc}")
            return
        self._take.samples(samples, live=True)


class NovaSource(Source):
    """Listens to Nova's notifications in a pool of its own.

    A bus that is down delays it. The queue of the pool outlives the forecaster: what was measured
    while it was away is taken when it comes back (docs: bound it with a policy of RabbitMQ).
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._options = conf.telemetry
        if not self._options.notification_pool:
            raise SourceError(
                "[telemetry] notification_pool is empty: messages would be taken from others"
            )
        self._server: Any = None
        self._transport: Any = None
        self._stopped = threading.Event()

    def start(self, take: Take) -> None:
        """Connect in a thread: with the bus down, connecting waits for ever."""
        threading.Thread(
            target=self._listen, args=(take,), name="cachemig-notifications", daemon=True
        ).start()

    def _listen(self, take: Take) -> None:
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
                [_Endpoint(take)],
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
        """Nothing to do: they come by themselves."""

    def stop(self) -> None:
        """Give no more."""
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
            LOG.exception("listening to Nova's notifications did not end cleanly")

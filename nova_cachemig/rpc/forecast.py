"""Between the forecaster and the schedulers: snapshots by fanout, the first one by a call."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging.rpc import dispatcher

from nova_cachemig.rpc import wire
from nova_cachemig.rpc.calls import BoundedCalls
from nova_cachemig.rpc.courier import Courier, CourierCounts
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

VERSION: Final = "1.0"

Wire = dict[str, Any]


def _target(topic: str, server: str | None = None) -> oslo_messaging.Target:
    return oslo_messaging.Target(
        exchange=wire.EXCHANGE, topic=topic, version=VERSION, server=server
    )


class ForecasterEndpoint(Protocol):
    """What a forecaster answers. Called on threads of the RPC server; a ValueError goes back."""

    def request_snapshot(self) -> Wire | None:
        """The newest snapshot; None before the first."""

    def show(self) -> Wire:
        """Every host's forecast, and how telemetry does."""

    def explain(self, host: str) -> Wire:
        """One host: its history, its forecast and why it is so."""

    def rank(self, instance: str, vcpus: int | None) -> Wire:
        """Where an instance would go now, the best host first, and why."""


class ForecasterClient:
    """The forecaster, seen from a scheduler or from ``nova-cachemig-manage``.

    Each call is over within ``timeout`` seconds; it raises oslo_messaging.MessagingException,
    oslo_messaging.RemoteError or calls.OverdueError if there is no answer.

    Version history:

    * 1.0: request_snapshot, show, explain, rank
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str, url: str | None, timeout: float) -> None:
        self._conf, self._topic, self._url = conf, topic, url
        self._timeout = timeout
        self._calls = BoundedCalls()
        self._client: Any = None

    def request_snapshot(self) -> Wire | None:
        """The newest snapshot on the wire; None before the first."""
        return self._call("request_snapshot")

    def show(self) -> Wire:
        """See :class:`ForecasterEndpoint`, also for the rest."""
        return self._call("show")

    def explain(self, host: str) -> Wire:
        return self._call("explain", host=host)

    def rank(self, instance: str, vcpus: int | None = None) -> Wire:
        return self._call("rank", instance=instance, vcpus=vcpus)

    def _call(self, method: str, **arguments: Any) -> Any:
        return self._calls.run(lambda: self._ask(method, arguments), self._timeout)

    def _ask(self, method: str, arguments: Wire) -> Any:
        if self._client is None:  # here, in the bounded thread: it may touch the bus
            self._client = oslo_messaging.get_rpc_client(
                wire.transport(self._conf, self._url),
                _target(self._topic),
                serializer=wire.PrimitiveSerializer(),
            )
        prepared = self._client.prepare(timeout=self._timeout, retry=0)
        return prepared.call({}, method, **arguments)


class SchedulersClient:
    """All schedulers, seen from the forecaster. Telling them never waits; only the newest goes.

    Version history:

    * 1.0: snapshot
    """

    def __init__(
        self, conf: cfg.ConfigOpts, topic: str, url: str | None, faults: Faults, max_age: float
    ) -> None:
        self._conf, self._topic, self._url = conf, topic, url
        self._client: Any = None
        self._courier = Courier(self._send, faults, limit=1, max_age=max_age)

    def tell(self, snapshot: Wire) -> None:
        """Send to every scheduler; what could not be sent before is dropped for it."""
        self._courier.post("snapshot", {"snapshot": snapshot})

    def counts(self) -> CourierCounts:
        """How many snapshots went, how many were dropped."""
        return self._courier.counts()

    def stop(self) -> None:
        """Send what can be sent within a second."""
        self._courier.stop()

    def _send(self, method: str, arguments: Wire) -> None:
        if self._client is None:
            self._client = oslo_messaging.get_rpc_client(
                wire.transport(self._conf, self._url),
                _target(self._topic),
                serializer=wire.PrimitiveSerializer(),
            )
        self._client.prepare(fanout=True, retry=0).cast({}, method, **arguments)


class _Server:
    """Listens once the bus lets it; start and stop return at once, whatever the bus does."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        host: str,
        url: str | None,
        endpoint: object,
        executor: str | None,
    ) -> None:
        self.started = threading.Event()
        self._stopping = threading.Event()

        def make() -> Any:
            return oslo_messaging.get_rpc_server(
                wire.transport(conf, url),
                _target(topic, host),
                [endpoint],
                executor=executor,
                serializer=wire.PrimitiveSerializer(),
                access_policy=dispatcher.DefaultRPCAccessPolicy,
            )

        self._make: Callable[[], Any] = make
        self._server: Any = None

    def start(self) -> None:
        """Begin to listen."""
        threading.Thread(target=self._run, name="cachemig-forecast-rpc", daemon=True).start()

    def stop(self, timeout: float = 5.0) -> None:
        """Take nothing more."""
        self._stopping.set()
        if self.started.is_set():
            ending = threading.Thread(target=self._end, name="cachemig-forecast-rpc", daemon=True)
            ending.start()
            ending.join(timeout)

    def _run(self) -> None:
        try:
            self._server = self._make()
            self._server.start()
        except Exception:  # whoever made it does its work without a bus too
            LOG.exception("cannot listen on the message bus")
            return
        self.started.set()
        if self._stopping.is_set():
            self._end()

    def _end(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        try:
            server.stop()
            server.wait()
        except Exception:
            LOG.exception("listening on the message bus did not end cleanly")


class _SnapshotDispatch:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put

    def snapshot(self, ctxt: Mapping[str, Any], snapshot: Any) -> None:
        self._put(snapshot)


class SnapshotServer(_Server):
    """A scheduler's ear: ``put`` gets each snapshot as it is on the wire, on a thread of its own.

    ``host`` must be unique among all processes of all schedulers. The executor is what the process
    has: native threads, or eventlet's where they are put in their place.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        host: str,
        url: str | None,
        put: Callable[[Any], None],
    ) -> None:
        super().__init__(conf, topic, host, url, _SnapshotDispatch(put), None)


class _ForecasterDispatch:
    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, endpoint: ForecasterEndpoint) -> None:
        self._endpoint = endpoint

    def request_snapshot(self, ctxt: Mapping[str, Any]) -> Wire | None:
        return self._endpoint.request_snapshot()

    def show(self, ctxt: Mapping[str, Any]) -> Wire:
        return self._endpoint.show()

    @oslo_messaging.expected_exceptions(ValueError)
    def explain(self, ctxt: Mapping[str, Any], host: Any) -> Wire:
        return self._endpoint.explain(_name(host))

    @oslo_messaging.expected_exceptions(ValueError)
    def rank(self, ctxt: Mapping[str, Any], instance: Any, vcpus: Any = None) -> Wire:
        if vcpus is not None and (type(vcpus) is not int or not 0 < vcpus <= 65536):
            raise ValueError(f"vcpus is no number of CPUs: {vcpus!r:.50}")
        return self._endpoint.rank(_name(instance), vcpus)


class ForecasterServer(_Server):
    """The forecaster's ear."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        host: str,
        url: str | None,
        endpoint: ForecasterEndpoint,
    ) -> None:
        super().__init__(conf, topic, host, url, _ForecasterDispatch(endpoint), "threading")


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value or len(value) > 255:
        raise ValueError(f"not a name: {value!r:.100}")
    return value

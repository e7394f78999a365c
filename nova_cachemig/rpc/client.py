"""The client of any contract: casts that never wait, calls that end at their deadline."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc import bus
from nova_cachemig.rpc.bounded import BoundedCalls, OverdueError
from nova_cachemig.rpc.cast_queue import MAX_AGE, QUEUE_LIMIT, CastCounts, CastQueue, QueuedCast
from nova_cachemig.rpc.faults import Faults

_OLDER: Final = frozenset({"UnsupportedVersion", "NoSuchMethod"})
_NO_CONTEXT: Mapping[str, Any] = {}


class UnreachableError(Exception):
    """No response in time: no server listens, or it is too busy. Or see :class:`BusError`."""


class BusError(UnreachableError):
    """The message bus is down, or refuses this program: no request left it."""


class RefusedError(Exception):
    """The server responded with an error; the text is the server's."""


class OlderError(RefusedError):
    """The server is older than the request; the text names the remedy."""


class RpcClient:
    """Sends requests to one topic.

    ``peer`` names the server in errors, for instance "agent". ``timeout``: seconds for a call,
    unless the call has its own. Casts return a :class:`~.cast_queue.QueuedCast`. Calls raise
    :class:`UnreachableError` or :class:`RefusedError`, and ``NotPrimitiveError`` for arguments
    that are more than JSON.

    The connection is opened with the first request, in the process that sends it. After a fork the
    child opens its own.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        target: oslo_messaging.Target,
        *,
        peer: str,
        url: str | None,
        timeout: float,
        faults: Faults | None = None,
        queue_limit: int = QUEUE_LIMIT,
        max_age: float = MAX_AGE,
    ) -> None:
        self._conf = conf
        self._target = target
        self._peer = peer
        self._url = url
        self._timeout = timeout
        self.faults = faults or Faults()
        self._lock = threading.Lock()
        self._pid: int | None = None
        self._client: oslo_messaging.RPCClient | None = None
        self._transport: oslo_messaging.RPCTransport | None = None
        self._inherited: oslo_messaging.RPCTransport | None = None
        self._calls = BoundedCalls()
        self._casts = CastQueue(self._send, self.faults, limit=queue_limit, max_age=max_age)

    def cast(
        self,
        method: str,
        arguments: dict[str, Any],
        ctxt: bus.Context = _NO_CONTEXT,
        *,
        fanout: bool = False,
    ) -> QueuedCast:
        """Queue a request that has no response; ``fanout``: to every server of the topic."""
        bus.check_primitive(arguments)  # here, so that the error reaches the caller
        return self._casts.put(
            method,
            {
                "ctxt": dict(ctxt),
                "arguments": arguments,
                "fanout": fanout,
                "made": time.monotonic(),
            },
        )

    def call(
        self,
        method: str,
        arguments: dict[str, Any],
        ctxt: bus.Context = _NO_CONTEXT,
        *,
        timeout: float | None = None,
        version: str | None = None,
    ) -> Any:
        """The response. ``version``: the oldest version of the contract that has the method."""
        bus.check_primitive(arguments)
        limit = self._timeout if timeout is None else timeout

        def work() -> Any:
            options = {} if version is None else {"version": version}
            try:
                client = self._connected()
            except Exception as exc:  # of oslo.messaging, its driver, or the configuration
                raise BusError(f"{method}: {type(exc).__name__}: {_first_line(exc)}") from exc
            prepared = client.prepare(retry=0, timeout=limit, **options)
            return prepared.call(ctxt, method, **arguments)

        try:
            return self._calls.run(work, limit)
        except BusError:
            raise
        except Exception as exc:
            raise self._error(exc, method, limit) from exc

    def counts(self) -> CastCounts:
        """How many casts were sent, were dropped, and wait."""
        return self._casts.counts()

    def close(self, timeout: float = 1.0) -> None:
        """Send what is queued, then close the connection; each within ``timeout`` seconds."""
        self._casts.stop(timeout)
        with self._lock:
            made, self._transport, self._client, self._pid = self._transport, None, None, None
        if made is not None:
            # cleanup() waits for a reply queue's connection that is still being opened.
            closing = threading.Thread(target=made.cleanup, name="cachemig-close", daemon=True)
            closing.start()
            closing.join(timeout)

    def _connected(self) -> oslo_messaging.RPCClient:
        with self._lock:
            if self._client is None or self._pid != os.getpid():
                # The parent process still uses the sockets of its transport: do not close them.
                self._inherited = self._transport
                self._transport = bus.transport(self._conf, self._url)
                self._client = oslo_messaging.get_rpc_client(
                    self._transport,
                    self._target,
                    serializer=bus.PrimitiveSerializer(),
                    # The broker reports immediately that no server has ever listened.
                    transport_options=oslo_messaging.TransportOptions(at_least_once=True),
                )
                self._pid = os.getpid()
            return self._client

    def _send(self, method: str, queued: dict[str, Any]) -> None:
        options = {"fanout": True} if queued["fanout"] else {}
        prepared = self._connected().prepare(retry=0, **options)
        ctxt = queued["ctxt"] | {"age": round(time.monotonic() - queued["made"], 3)}
        try:
            prepared.cast(ctxt, method, **queued["arguments"])
        except oslo_messaging.MessageUndeliverable as exc:
            raise UnreachableError(self._no_listener()) from exc

    def _no_listener(self) -> str:
        where = f"topic {self._target.topic}"
        if self._target.server is not None:
            where += f", server {self._target.server}"
        return f"no {self._peer} listens on {where}"

    def _error(self, exc: Exception, method: str, limit: float) -> Exception:
        """The exception of :meth:`call` for one of oslo.messaging or of the driver."""
        if isinstance(exc, oslo_messaging.MessageUndeliverable):
            return UnreachableError(f"{method}: {self._no_listener()}")
        if isinstance(exc, oslo_messaging.MessagingTimeout):
            return UnreachableError(f"{method}: no response within {limit:.1f} s")
        if isinstance(exc, OverdueError):
            return self._overdue(exc, method)
        if isinstance(exc, oslo_messaging.MessageDeliveryFailure | oslo_messaging.ClientSendError):
            return BusError(f"{method}: {exc}")
        if isinstance(exc, oslo_messaging.RemoteError):
            return self._refused(exc.exc_type, exc.value, method)
        name = type(exc).__name__.removesuffix("_Remote")
        if _from_driver(exc):
            return BusError(f"{method}: {name}: {_first_line(exc)}")
        # An exception of the server arrives as RemoteError or, if its class is one of Python's own,
        # as that class.
        return self._refused(name, exc, method)

    def _overdue(self, exc: OverdueError, method: str) -> UnreachableError:
        transport = self._transport
        if transport is None or bus.connected(transport):
            return UnreachableError(f"{method}: {exc}")
        return BusError(f"{method}: no connection to the message bus")

    def _refused(self, name: str | None, error: object, method: str) -> RefusedError:
        text = _first_line(error)
        if name in _OLDER:
            return OlderError(
                f"the {self._peer} does not know {method!r}: it is older than this program. "
                f"Upgrade it, or restart it if that is done ({text})"
            )
        # A ValueError is a sentence for the caller. Any other error is the server's own.
        return RefusedError(text if name == "ValueError" else f"{name}: {text}")


def _first_line(error: object) -> str:
    """Without the server's traceback, which oslo.messaging appends."""
    return str(error).partition("\n")[0]


def _from_driver(exc: Exception) -> bool:
    """oslo.messaging lets some errors of its connections through unchanged."""
    package = type(exc).__module__.partition(".")[0]
    return isinstance(exc, OSError) or package in {"kombu", "amqp"}

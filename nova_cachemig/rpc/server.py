"""How the agent serves its RPC interface."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg
from oslo_log import log
from oslo_messaging.rpc import dispatcher

from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.rpc import wire
from nova_cachemig.rpc.agent import SLICE
from nova_cachemig.rpc.endpoint import AgentEndpoint, Context

LOG = log.getLogger(__name__)

HANDOVERS_LIMIT: Final = 1000


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 255:
        raise ValueError(f"{name} is not a name: {value!r:.100}")
    return value


def _number(value: Any, name: str) -> float:
    if not isinstance(value, bool) and isinstance(value, int | float):
        with contextlib.suppress(OverflowError):
            if math.isfinite(number := float(value)):
                return number
    raise ValueError(f"{name} is not a number: {value!r:.100}")


class Dispatch:
    """Turns what came over the wire into the model's types, or raises ValueError."""

    target = oslo_messaging.Target(version=wire.VERSION)

    def __init__(self, endpoint: AgentEndpoint) -> None:
        self._endpoint = endpoint

    @oslo_messaging.expected_exceptions(ValueError)
    def begin(
        self, ctxt: Context, instance: Any, request: Any, source: Any, destination: Any, at: Any
    ) -> None:
        """See :class:`AgentEndpoint`, also for the rest."""
        self._endpoint.begin(
            ctxt,
            HandoverId(_text(instance, "instance"), _text(request, "request")),
            None if source is None else _text(source, "source"),
            None if destination is None else _text(destination, "destination"),
            _number(at, "at"),
        )

    @oslo_messaging.expected_exceptions(ValueError)
    def wait_warm(self, ctxt: Context, instance: Any, request: Any, wait: Any) -> dict[str, Any]:
        handover = HandoverId(_text(instance, "instance"), _text(request, "request"))
        wait = max(0.0, min(_number(wait, "wait"), SLICE))
        return self._endpoint.wait_warm(ctxt, handover, wait)

    @oslo_messaging.expected_exceptions(ValueError)
    def guest_event(self, ctxt: Context, event: Any) -> None:
        self._endpoint.guest_event(ctxt, GuestEvent.from_wire(event))

    @oslo_messaging.expected_exceptions(ValueError)
    def handovers(self, ctxt: Context, limit: Any) -> list[dict[str, Any]]:
        limit = max(0, min(int(_number(limit, "limit")), HANDOVERS_LIMIT))
        return [record.to_wire() for record in self._endpoint.handovers(ctxt, limit)]

    @oslo_messaging.expected_exceptions(ValueError)
    def handover(self, ctxt: Context, instance: Any, request: Any) -> dict[str, Any] | None:
        handover = HandoverId(_text(instance, "instance"), _text(request, "request"))
        record = self._endpoint.handover(ctxt, handover)
        return None if record is None else record.to_wire()

    @oslo_messaging.expected_exceptions(ValueError)
    def services(self, ctxt: Context) -> list[dict[str, Any]]:
        return self._endpoint.services(ctxt)

    @oslo_messaging.expected_exceptions(ValueError)
    def reload(self, ctxt: Context) -> dict[str, list[str]]:
        return {"errors": self._endpoint.reload(ctxt)}

    @oslo_messaging.expected_exceptions(ValueError)
    def ping(self, ctxt: Context) -> dict[str, Any]:
        return self._endpoint.ping(ctxt)


class AgentServer:
    """Listens on ``topic``. A bus that is down delays it, and stops nothing else.

    ``started`` is set once the agent can be reached.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        endpoint: AgentEndpoint,
        *,
        host: str,
        topic: str,
        transport_url: str | None = None,
    ) -> None:
        self._transport = wire.transport(conf, transport_url)
        if "oslo_messaging_rabbit" in conf:
            # How late, at most, a bus that was down is noticed to be back (oslo's default: 30 s).
            conf.set_default("rabbit_interval_max", 2, group="oslo_messaging_rabbit")
        self._server = oslo_messaging.get_rpc_server(
            self._transport,
            wire.target(topic, host),
            [Dispatch(endpoint)],
            executor="threading",
            serializer=wire.PrimitiveSerializer(),
            access_policy=dispatcher.DefaultRPCAccessPolicy,
        )
        self.started = threading.Event()
        self._stopping = False
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to listen; returns at once, whatever the bus does."""
        if self._thread is None:
            self._thread = self._spawn(self._start)

    def stop(self, timeout: float = 5.0) -> bool:
        """Take nothing more and finish what is under way; whether that took < ``timeout`` s."""
        self._stopping = True
        if not self.started.is_set():
            self._over.set()
            return True
        ending = self._spawn(self._end)
        ending.join(timeout)
        return not ending.is_alive()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has been stopped."""
        return self._over.wait(timeout)

    def _start(self) -> None:
        try:
            self._server.start()
        except Exception:  # the agent does its work without a bus too
            LOG.exception("the RPC server could not be started")
            return
        self.started.set()
        LOG.info("listening on the message bus")
        if self._stopping:
            self._end()

    def _end(self) -> None:
        try:
            self._server.stop()
            self._server.wait()
            self._transport.cleanup()
        except Exception:
            LOG.exception("the RPC server did not end cleanly")
        finally:
            self._over.set()

    @staticmethod
    def _spawn(work: Callable[[], None]) -> threading.Thread:
        thread = threading.Thread(target=work, name="cachemig-rpc-server", daemon=True)
        thread.start()
        return thread

"""The client of the agent's RPC interface."""

from __future__ import annotations

import dataclasses
import os
import threading
from collections.abc import Mapping
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.rpc import wire
from nova_cachemig.rpc.calls import BoundedCalls, OverdueError
from nova_cachemig.rpc.courier import Courier, CourierCounts, Parcel
from nova_cachemig.rpc.faults import Faults

SLICE: Final = 2.0
"""Seconds, at most, for which the agent keeps one ``wait_warm`` waiting."""


class AgentUnreachableError(Exception):
    """No answer in time: the bus is down, no agent listens, or it is too busy."""


class AgentRefusedError(Exception):
    """The agent answered with an error; the text is its own."""


@dataclasses.dataclass(frozen=True, slots=True)
class WarmAnswer:
    """What the agent says of one handover. ``ready``: the migration need not wait for us."""

    ready: bool
    phase: str
    reason: str


class AgentClient:
    """Tells the agent of a migration and asks it things.

    Casts never wait: they return a :class:`~.courier.Parcel`. Calls wait at most as long as they
    are told to and raise :class:`AgentUnreachableError` or :class:`AgentRefusedError`. Every
    command is idempotent, keyed by instance and by Nova's request id. The agent handles messages
    on several threads: of two that follow each other at once the second may be first.

    The connection is made with the first message, in the process that sends it: after a fork
    the child makes its own.

    API version history:

    * 1.0 - begin, wait_warm, guest_event, handovers, handover, services, reload, ping
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        *,
        transport_url: str | None = None,
        rpc_timeout: float = 2.0,
        faults: Faults | None = None,
    ) -> None:
        self._conf = conf
        self._url = transport_url
        self._target = wire.target(topic)
        self._timeout = rpc_timeout
        self.faults = faults or Faults()
        self._lock = threading.Lock()
        self._made_by: int | None = None
        self._made: oslo_messaging.RPCClient | None = None
        self._transport: oslo_messaging.RPCTransport | None = None
        self._inherited: oslo_messaging.RPCTransport | None = None
        self._courier = Courier(self._send, self.faults)
        self._calls = BoundedCalls()

    # -- casts: never wait -----------------------------------------------------------------

    def begin(
        self,
        ctxt: Mapping[str, Any],
        instance: str,
        request: str,
        source: str | None,
        destination: str | None,
        at: float,
    ) -> Parcel:
        """A live migration is being prepared. ``at``: UNIX seconds. Since 1.0."""
        arguments = {
            "instance": instance,
            "request": request,
            "source": source,
            "destination": destination,
            "at": at,
        }
        return self._cast(ctxt, "begin", arguments)

    def guest_event(self, ctxt: Mapping[str, Any], event: GuestEvent) -> Parcel:
        """A moment of a live migration. Since 1.0."""
        return self._cast(ctxt, "guest_event", {"event": event.to_wire()})

    def warm_up(self) -> Parcel:
        """Open the connection, so that the next cast need not."""
        return self._cast({}, "ping", {})

    # -- calls: wait, but not for long ------------------------------------------------------

    def wait_warm(
        self,
        ctxt: Mapping[str, Any],
        instance: str,
        request: str,
        wait: float,
        *,
        timeout: float | None = None,
    ) -> WarmAnswer:
        """Wait up to ``wait`` seconds (at most :data:`SLICE`) for the cache to be warm. Since 1.0.

        ``timeout``: seconds after which this returns or raises, come what may.
        """
        wait = max(0.0, min(wait, SLICE))
        limit = wait + self._timeout if timeout is None else timeout
        arguments = {"instance": instance, "request": request, "wait": wait}
        told = self._call(ctxt, "wait_warm", arguments, limit)
        if not isinstance(told, dict) or "ready" not in told:
            raise AgentRefusedError(f"not an answer to wait_warm: {told!r:.200}")
        return WarmAnswer(
            ready=bool(told["ready"]),
            phase=str(told.get("phase", "")),
            reason=str(told.get("reason", "")),
        )

    def handovers(self, ctxt: Mapping[str, Any], limit: int) -> list[HandoverRecord]:
        """The newest handovers, the newest first. Since 1.0."""
        told = self._call(ctxt, "handovers", {"limit": limit})
        return [HandoverRecord.from_wire(one) for one in told]

    def handover(self, ctxt: Mapping[str, Any], handover: HandoverId) -> HandoverRecord | None:
        """One handover, or None if the agent knows none of that name. Since 1.0."""
        arguments = {"instance": handover.instance, "request": handover.request}
        told = self._call(ctxt, "handover", arguments)
        return None if told is None else HandoverRecord.from_wire(told)

    def services(self, ctxt: Mapping[str, Any]) -> list[dict[str, Any]]:
        """name, listen, hosts, instance, port, address, state, error of each. Since 1.0."""
        return list(self._call(ctxt, "services", {}))

    def reload(self, ctxt: Mapping[str, Any]) -> list[str]:
        """Read the service files now; the errors, if any: then nothing changed. Since 1.0."""
        return [str(error) for error in self._call(ctxt, "reload", {})["errors"]]

    def ping(self, ctxt: Mapping[str, Any]) -> dict[str, Any]:
        """What the agent says of itself: host and version. Since 1.0."""
        return dict(self._call(ctxt, "ping", {}))

    # ---------------------------------------------------------------------------------------

    def counts(self) -> CourierCounts:
        """How many casts went, were lost, wait."""
        return self._courier.counts()

    def close(self, timeout: float = 1.0) -> None:
        """Send what waits, then let go of the connection; both within about ``timeout``."""
        self._courier.stop(timeout)
        with self._lock:
            made, self._transport, self._made, self._made_by = self._transport, None, None, None
        if made is not None:
            # A reply queue's connection that is still being made would keep this waiting.
            closing = threading.Thread(target=made.cleanup, name="cachemig-close", daemon=True)
            closing.start()
            closing.join(timeout)

    def _client(self) -> oslo_messaging.RPCClient:
        with self._lock:
            if self._made is None or self._made_by != os.getpid():
                # Of a parent process: its sockets are still in use there, so they are not closed.
                self._inherited = self._transport
                self._transport = wire.transport(self._conf, self._url)
                self._made = oslo_messaging.get_rpc_client(
                    self._transport,
                    self._target,
                    version_cap=wire.VERSION,
                    serializer=wire.PrimitiveSerializer(),
                    # The broker says at once if no agent has ever listened.
                    transport_options=oslo_messaging.TransportOptions(at_least_once=True),
                )
                self._made_by = os.getpid()
            return self._made

    def _cast(self, ctxt: Mapping[str, Any], method: str, arguments: dict[str, Any]) -> Parcel:
        wire.check_primitive(arguments)  # here, where the caller can still be blamed
        return self._courier.post(method, {"ctxt": dict(ctxt), "arguments": arguments})

    def _send(self, method: str, letter: dict[str, Any]) -> None:
        prepared = self._client().prepare(retry=0)
        try:
            prepared.cast(letter["ctxt"], method, **letter["arguments"])
        except oslo_messaging.MessageUndeliverable as exc:
            raise AgentUnreachableError(self._nobody()) from exc

    def _nobody(self) -> str:
        return f"no agent listens on topic {self._target.topic}"

    def _call(
        self,
        ctxt: Mapping[str, Any],
        method: str,
        arguments: dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        wire.check_primitive(arguments)
        limit = self._timeout if timeout is None else timeout

        def work() -> Any:
            prepared = self._client().prepare(retry=0, timeout=limit)
            return prepared.call(ctxt, method, **arguments)

        try:
            return self._calls.run(work, limit)
        except OverdueError as exc:
            raise AgentUnreachableError(f"{method}: {exc}") from exc
        except oslo_messaging.MessageUndeliverable as exc:
            raise AgentUnreachableError(f"{method}: {self._nobody()}") from exc
        except oslo_messaging.MessagingTimeout as exc:
            raise AgentUnreachableError(f"{method}: no answer within {limit:.1f} s") from exc
        except (oslo_messaging.MessageDeliveryFailure, oslo_messaging.ClientSendError) as exc:
            raise AgentUnreachableError(f"{method}: {exc}") from exc
        except oslo_messaging.RemoteError as exc:
            raise AgentRefusedError(f"{exc.exc_type}: {exc.value}") from exc
        except Exception as exc:
            text = f"{type(exc).__name__.removesuffix('_Remote')}: {str(exc).partition(chr(10))[0]}"
            if _of_the_bus(exc):
                raise AgentUnreachableError(f"{method}: {text}") from exc
            # An exception of the agent's comes as RemoteError or, if its class is one of Python's
            # own, as that, with the traceback behind the first line.
            raise AgentRefusedError(text) from exc


def _of_the_bus(exc: Exception) -> bool:
    """oslo.messaging lets some errors of its connections through as they are."""
    package = type(exc).__module__.partition(".")[0]
    return isinstance(exc, OSError) or package in {"kombu", "amqp"}

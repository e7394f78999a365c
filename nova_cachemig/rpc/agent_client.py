"""The agent, as nova-compute and operators call it: the methods of :mod:`.agent`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oslo_config import cfg

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.rpc import bus
from nova_cachemig.rpc.agent import SERVICES_PAGE, SLICE, WarmResponse
from nova_cachemig.rpc.cast_queue import QueuedCast
from nova_cachemig.rpc.client import OlderError, RefusedError, RpcClient
from nova_cachemig.rpc.faults import Faults


class AgentClient:
    """The agent, for nova-compute and for ``nova-cachemig-manage``.

    ``host``: the agent of this name; None: any agent on the topic.

    Casts never wait: they return a :class:`~.cast_queue.QueuedCast`. Calls wait at most for their
    timeout and raise :class:`~.client.UnreachableError` or :class:`~.client.RefusedError`.
    """

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        topic: str,
        *,
        host: str | None = None,
        transport_url: str | None = None,
        rpc_timeout: float = 2.0,
        faults: Faults | None = None,
    ) -> None:
        self._rpc = RpcClient(
            conf,
            bus.target(topic, "1.0", host),  # unless a method says otherwise
            peer="agent",
            url=transport_url,
            timeout=rpc_timeout,
            faults=faults,
        )
        self._timeout = rpc_timeout

    @property
    def faults(self) -> Faults:
        """The faults of the connection, by cause."""
        return self._rpc.faults

    # -- casts: never wait -----------------------------------------------------------------

    def begin(
        self,
        ctxt: bus.Context,
        instance: str,
        request: str,
        source: str | None,
        destination: str | None,
        at: float,
    ) -> QueuedCast:
        """Nova prepares a live migration. ``at``: UNIX seconds, of the sender. Since 1.0."""
        arguments = {
            "instance": instance,
            "request": request,
            "source": source,
            "destination": destination,
            "at": at,
        }
        return self._rpc.cast("begin", arguments, ctxt)

    def guest_event(self, ctxt: bus.Context, event: GuestEvent) -> QueuedCast:
        """An event of a live migration. Since 1.0."""
        return self._rpc.cast("guest_event", {"event": event.to_wire()}, ctxt)

    def instance_changed(
        self, ctxt: bus.Context, instance: str, change: InstanceChange
    ) -> QueuedCast:
        """The addresses of an instance may have changed. Since 1.3: see :func:`takes_changes`."""
        arguments = {"instance": instance, "change": change.value}
        return self._rpc.cast("instance_changed", arguments, ctxt)

    def warm_up(self) -> QueuedCast:
        """Open the connection, so that the next cast need not."""
        return self._rpc.cast("ping", {})

    # -- calls: wait, but not for long ------------------------------------------------------

    def wait_warm(
        self,
        ctxt: bus.Context,
        instance: str,
        request: str,
        wait: float,
        *,
        timeout: float | None = None,
    ) -> WarmResponse:
        """Wait up to ``wait`` seconds (at most :data:`SLICE`) for the cache to be warm. Since 1.0.

        ``timeout``: seconds after which this returns or raises, come what may.
        """
        wait = max(0.0, min(wait, SLICE))
        limit = wait + self._timeout if timeout is None else timeout
        arguments = {"instance": instance, "request": request, "wait": wait}
        found = self._rpc.call("wait_warm", arguments, ctxt, timeout=limit)
        if not isinstance(found, dict) or "ready" not in found:
            raise RefusedError(f"not a response to wait_warm: {found!r:.200}")
        return WarmResponse(
            ready=bool(found["ready"]),
            phase=str(found.get("phase", "")),
            reason=str(found.get("reason", "")),
        )

    def handovers(self, ctxt: bus.Context, limit: int, offset: int = 0) -> list[HandoverRecord]:
        """The newest handovers, the newest first. Since 1.0; ``offset`` since 1.1."""
        arguments, version = {"limit": limit}, "1.0"
        if offset:
            arguments, version = {"limit": limit, "offset": offset}, "1.1"
        found = self._rpc.call("handovers", arguments, ctxt, version=version)
        return [HandoverRecord.from_wire(one) for one in found]

    def handover(
        self, ctxt: bus.Context, instance: str, request: str | None
    ) -> HandoverRecord | None:
        """One handover, or None if the agent does not know it. Since 1.0.

        Since 1.1 ``request`` may be None: the newest handover of the instance.
        """
        arguments = {"instance": instance, "request": request}
        version = "1.1" if request is None else "1.0"
        found = self._rpc.call("handover", arguments, ctxt, version=version)
        return None if found is None else HandoverRecord.from_wire(found)

    def services(self, ctxt: bus.Context) -> list[dict[str, Any]]:
        """All services by name: the fields of the file, address, phase, error. In pages: 1.1.

        An agent of 1.0 has fewer fields, and no pages.
        """
        try:
            return self._services_in_pages(ctxt)
        except OlderError:
            found = self._rpc.call("services", {}, ctxt)
            return [
                {"phase" if name == "state" else name: value for name, value in service.items()}
                for service in found
            ]

    def _services_in_pages(self, ctxt: bus.Context) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        page: list[dict[str, Any]] = []
        while not found or len(page) == SERVICES_PAGE:
            after = found[-1]["name"] if found else ""
            page = self._rpc.call("services", {"after": after}, ctxt, version="1.1")
            if not page:
                break
            found += page
        return found

    def propose_policy(self, ctxt: bus.Context, service: str) -> dict[str, Any]:
        """A policy from a sample of the service's requests. Since 1.4; an older agent refuses."""
        return dict(self._rpc.call("propose_policy", {"service": service}, ctxt, version="1.4"))

    def reload(self, ctxt: bus.Context, *, timeout: float | None = None) -> list[str]:
        """Read the service files now; the errors, if any. Since 1.0."""
        found = self._rpc.call("reload", {}, ctxt, timeout=timeout)
        return [str(error) for error in found["errors"]]

    def ping(self, ctxt: bus.Context) -> dict[str, Any]:
        """host and version of the agent. Since 1.0."""
        return dict(self._rpc.call("ping", {}, ctxt))

    # ---------------------------------------------------------------------------------------

    def close(self, timeout: float = 1.0) -> None:
        """Send what is queued, then close the connection; each within ``timeout`` seconds."""
        self._rpc.close(timeout)


def takes_changes(ping: Mapping[str, Any]) -> bool:
    """Whether the agent that has responded so to a ping has the method ``instance_changed``."""
    major, _, minor = str(ping.get("rpc_version", "1.0")).partition(".")
    return major == "1" and minor.isdecimal() and int(minor) >= 3

"""The contract of the agent's journal: operators review quarantined writes.

The agent serves it beside :mod:`.agent`, in the namespace ``journal``. Every response is bounded:
lists come in pages, bodies in chunks, in base64.

Version history:

* 1.0 - writes, write, body, resend, discard (with 1.1 of the agent)
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any, Final, Protocol

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc import bus, checks
from nova_cachemig.rpc.client import RpcClient

VERSION: Final = "1.0"
NAMESPACE: Final = "journal"
PAGE: Final = 100
"""Writes, at most, in one page."""
PAGE_BYTES: Final = 1 << 20
"""Bytes of bodies after which a page ends."""
REASON_LIMIT: Final = 1000

Wire = dict[str, Any]


class JournalEndpoint(Protocol):
    """Plain functions; several run at the same time. A ValueError goes back to the caller.

    ``name`` is SERVICE/POSITION. A write is a dictionary of primitives: write, state, accepted_at,
    ended_at, note. Unless it is unreadable, it also has method, host, url, client,
    idempotency_key, length and spool. Its content is headers and, if short enough, body (base64).
    """

    def writes(
        self,
        states: Sequence[WriteState],
        service: str | None,
        after: str | None,
        *,
        content: bool,
    ) -> Wire:
        """One page: ``{"writes": [...], "next": name or None}``; the page behind ``after``."""

    def write(self, name: str) -> Wire:
        """One write with its content."""

    def body(self, name: str, chunk: int) -> Wire:
        """One chunk of a body: ``{"data": base64, "last": bool}``."""

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write that is in doubt again."""

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""


class JournalClient:
    """The journal of the agent ``host``, for ``nova-cachemig-manage``.

    Each request ends within ``timeout`` seconds and raises :class:`~.client.UnreachableError` or
    :class:`~.client.RefusedError`.
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str, host: str, timeout: float) -> None:
        target = bus.target(topic, VERSION, host, namespace=NAMESPACE)
        self._rpc = RpcClient(conf, target, peer="agent", url=None, timeout=timeout)

    def writes(
        self,
        states: Sequence[WriteState],
        service: str | None = None,
        *,
        content: bool = False,
        after: str | None = None,
    ) -> Iterator[Wire]:
        """Every write in these states, page by page, behind the write ``after``. Since 1.0."""
        arguments: Wire = {
            "states": [state.value for state in states],
            "service": service,
            "content": content,
        }
        while True:
            page = self._rpc.call("writes", arguments | {"after": after})
            yield from page["writes"]
            after = page["next"]
            if after is None:
                return

    def write(self, name: str) -> Wire:
        """One write with its content. Since 1.0."""
        return dict(self._rpc.call("write", {"name": name}))

    def body(self, name: str) -> Iterator[bytes]:
        """The body of a write, chunk by chunk. Since 1.0."""
        chunk, last = 0, False
        while not last:
            found = self._rpc.call("body", {"name": name, "chunk": chunk})
            yield base64.b64decode(found["data"])
            chunk, last = chunk + 1, bool(found["last"])

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write that is in doubt again. Since 1.0."""
        self._rpc.call("resend", {"name": name, "reason": reason, "asked_by": asked_by})

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write. Since 1.0."""
        self._rpc.call("discard", {"name": name, "reason": reason, "asked_by": asked_by})

    def close(self) -> None:
        """Close the connection."""
        self._rpc.close()


class Dispatch:
    """Validates what came over the wire, or raises ValueError."""

    target = oslo_messaging.Target(namespace=NAMESPACE, version=VERSION)

    def __init__(self, endpoint: JournalEndpoint) -> None:
        self._endpoint = endpoint

    @oslo_messaging.expected_exceptions(ValueError)
    def writes(
        self, ctxt: bus.Context, states: Any, service: Any, after: Any, content: Any
    ) -> Wire:
        """See :class:`JournalEndpoint`, also for the others."""
        if not isinstance(states, list) or not states:
            raise ValueError(f"states is not a list of states: {states!r:.100}")
        return self._endpoint.writes(
            [WriteState(state) for state in states],
            checks.optional_name(service, "service"),
            checks.optional_name(after, "after"),
            content=content is True,
        )

    @oslo_messaging.expected_exceptions(ValueError)
    def write(self, ctxt: bus.Context, name: Any) -> Wire:
        return self._endpoint.write(checks.name(name, "name"))

    @oslo_messaging.expected_exceptions(ValueError)
    def body(self, ctxt: bus.Context, name: Any, chunk: Any) -> Wire:
        if type(chunk) is not int or chunk < 0:
            raise ValueError(f"chunk is not the number of a chunk: {chunk!r:.50}")
        return self._endpoint.body(checks.name(name, "name"), chunk)

    @oslo_messaging.expected_exceptions(ValueError)
    def resend(self, ctxt: bus.Context, name: Any, reason: Any, asked_by: Any) -> None:
        self._endpoint.resend(checks.name(name, "name"), *_why(reason, asked_by))

    @oslo_messaging.expected_exceptions(ValueError)
    def discard(self, ctxt: bus.Context, name: Any, reason: Any, asked_by: Any) -> None:
        self._endpoint.discard(checks.name(name, "name"), *_why(reason, asked_by))


def _why(reason: Any, asked_by: Any) -> tuple[str, str]:
    return checks.text(reason, "reason", REASON_LIMIT), checks.name(asked_by, "asked_by")

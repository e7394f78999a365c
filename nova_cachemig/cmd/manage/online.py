"""The agent, asked over RPC, with the methods of its offline twin."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc import bus
from nova_cachemig.rpc.agent import HANDOVERS_PAGE
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import BusError, RefusedError, UnreachableError
from nova_cachemig.rpc.journal import JournalClient

T = TypeVar("T")

RELOAD_TIMEOUT: Final = 60.0
"""Seconds for a reload: the agent reads the files, asks Nova, and reloads the edge."""


class Agent(Protocol):
    """The agent as the commands see it, asked over RPC or read from its files.

    The methods raise ComponentError. They are those of
    :class:`nova_cachemig.agent.offline.OfflineAgent`.
    """

    def handovers(self, limit: int) -> list[HandoverRecord]:
        """The newest handovers, the newest first."""

    def handover(self, instance: str, request: str | None) -> HandoverRecord | None:
        """One handover; the newest of the instance if ``request`` is None."""

    def services(self) -> list[dict[str, Any]]:
        """All services by name."""

    def writes(
        self, states: Sequence[WriteState], service: str | None = None, *, content: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Every write in these states."""

    def write(self, name: str) -> dict[str, Any]:
        """One write with its content."""

    def body(self, name: str) -> Iterator[bytes]:
        """The body of a write, chunk by chunk."""

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again."""

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""


class AgentRefusedError(ComponentError):
    """The agent responded with an error; the text is the agent's."""


class AgentUnreachableError(ComponentError):
    """The agent does not respond; the text says what to check."""


class BusUnreachableError(ComponentError):
    """The message bus cannot be used; the text says what to check."""


class OnlineAgent:
    """The agent ``host``; each request ends within ``timeout`` seconds.

    Raises cfg.Error if no message bus is configured.
    """

    def __init__(self, conf: cfg.ConfigOpts, host: str, timeout: float) -> None:
        bus.require_url(conf)
        self._conf = conf
        self._topic = conf.agent.topic
        self._host = host
        self._timeout = timeout
        self._agent = AgentClient(conf, self._topic, host=host, rpc_timeout=timeout)
        self._journal = JournalClient(conf, self._topic, host, timeout)

    def close(self) -> None:
        """Close the connections."""
        self._agent.close()
        self._journal.close()

    def ping(self) -> dict[str, Any]:
        """The name, the versions, and the state of the RPC server."""
        return self._ask(lambda: self._agent.ping({}))

    def handovers(self, limit: int) -> list[HandoverRecord]:
        """The newest handovers, the newest first."""
        found: dict[Any, HandoverRecord] = {}
        while len(found) < limit:
            size, offset = min(HANDOVERS_PAGE, limit - len(found)), len(found)
            page = self._ask(functools.partial(self._agent.handovers, {}, size, offset))
            found |= {record.id: record for record in page}
            if len(page) < size or len(found) == offset:
                break
        return list(found.values())

    def handover(self, instance: str, request: str | None) -> HandoverRecord | None:
        """One handover; the newest of the instance if ``request`` is None."""
        return self._ask(lambda: self._agent.handover({}, instance, request))

    def services(self) -> list[dict[str, Any]]:
        """All services by name, with phase, guest's address and error."""
        return self._ask(lambda: self._agent.services({}))

    def propose_policy(self, service: str) -> dict[str, Any]:
        """A policy for a service, from a sample of its requests."""
        return self._ask(lambda: self._agent.propose_policy({}, service))

    def reload(self) -> list[str]:
        """Let the agent read the service files now; the errors."""
        return self._ask(lambda: self._agent.reload({}, timeout=self._timeout + RELOAD_TIMEOUT))

    def writes(
        self, states: Sequence[WriteState], service: str | None = None, *, content: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Every write in these states."""
        return self._ask_for_each(self._journal.writes(states, service, content=content))

    def write(self, name: str) -> dict[str, Any]:
        """One write with its content."""
        return self._ask(lambda: self._journal.write(name))

    def body(self, name: str) -> Iterator[bytes]:
        """The body of a write, chunk by chunk."""
        return self._ask_for_each(self._journal.body(name))

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again."""
        self._ask(lambda: self._journal.resend(name, reason, asked_by))

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""
        self._ask(lambda: self._journal.discard(name, reason, asked_by))

    def _ask(self, request: Callable[[], T]) -> T:
        try:
            return request()
        except RefusedError as exc:
            raise AgentRefusedError(str(exc)) from exc
        except BusError as exc:
            raise BusUnreachableError(
                f"the message bus cannot be reached ({bus.why_unreachable(self._conf, None)}). "
                "Check [DEFAULT] transport_url and RabbitMQ. On the agent's own node, --offline "
                "reads its files instead"
            ) from exc
        except UnreachableError as exc:
            raise AgentUnreachableError(
                f"agent {self._host} does not respond on topic {self._topic} ({exc}). The message "
                "bus works. Check that nova-cachemig-agent runs on that node, with the same "
                "transport_url and [agent] topic, and with this name as [agent] host. On its own "
                "node, --offline reads its files instead"
            ) from exc

    def _ask_for_each(self, items: Iterator[T]) -> Iterator[T]:
        nothing = object()
        while (item := self._ask(lambda: next(items, nothing))) is not nothing:
            yield item  # type: ignore[misc]

"""From the threads of the RPC server to the agent's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from importlib import metadata
from typing import Any, Final, TypeVar

from nova_cachemig.agent.journal.review import Review
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.ports import ComponentError, HandoverReader
from nova_cachemig.agent.services import proposal
from nova_cachemig.agent.services.registry import ServiceRegistry
from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.write import WriteState
from nova_cachemig.popularity.sampling import RequestSamples
from nova_cachemig.rpc.agent import HANDOVERS_LIMIT, VERSION
from nova_cachemig.rpc.bus import Context
from nova_cachemig.rpc.server import RpcServer

T = TypeVar("T")

LOOP_LIMIT: Final = 5.0
"""Seconds that the event loop may take for a request that does not ask to wait."""

RELOAD_LIMIT: Final = 60.0
"""Seconds to read the files, to ask Nova for each guest, and to reload the edge."""

JOURNAL_LIMIT: Final = 30.0
"""Seconds for one page, chunk or decision of the journal."""

_NOT_SERVED: Final = (
    "this agent does not serve its journal over RPC ([agent] serve_journal = none): use --offline "
    "on its node"
)
_NO_CONTENT: Final = (
    "this agent does not serve the content of writes over RPC ([agent] serve_journal = metadata): "
    "use --offline on its node"
)
_CONTENT: Final = frozenset({"headers", "body", "client", "idempotency_key"})


class _OnLoop:
    """Runs coroutines in the agent's event loop, for the threads of the RPC server."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def _run(self, work: Coroutine[Any, Any, T], limit: float = LOOP_LIMIT) -> T:
        """The result. Raises ValueError, which goes back to the caller as a sentence."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(limit)
        except TimeoutError as exc:
            raise ValueError(f"the agent did not finish within {limit:.0f} s") from exc
        except ComponentError as exc:
            raise ValueError(str(exc)) from exc
        finally:
            future.cancel()


class Endpoint(_OnLoop):
    """Implements :class:`nova_cachemig.rpc.agent.AgentEndpoint`."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        manager: HandoverManager,
        store: HandoverReader,
        host: str,
        registry: ServiceRegistry,
        samples: RequestSamples | None = None,
    ) -> None:
        super().__init__(loop)
        self._manager = manager
        self._store = store
        self._host = host
        self._registry = registry
        self._samples = samples or RequestSamples()
        self.server: RpcServer | None = None  # for ping, once it is made

    def begin(
        self,
        ctxt: Context,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
        behind: float,
    ) -> None:
        """Nova prepares a live migration."""
        self._run(self._manager.begin(handover, source, destination, at, behind))

    def wait_warm(self, ctxt: Context, handover: HandoverId, wait: float) -> dict[str, Any]:
        """Wait until the cache is warm, at most ``wait`` seconds."""
        return self._run(self._manager.wait_warm(handover, wait), wait + LOOP_LIMIT)

    def guest_event(self, ctxt: Context, event: GuestEvent) -> None:
        """An event of a live migration."""
        self._run(self._manager.guest_event(event))

    def instance_changed(self, ctxt: Context, instance: str, change: InstanceChange) -> None:
        """The addresses of an instance may have changed, outside of a migration."""
        self._run(self._registry.instance_changed(instance, change))

    def handovers(self, ctxt: Context, limit: int, offset: int) -> list[HandoverRecord]:
        """The newest first; those in progress in their present state."""
        return self._run(self._newest(limit + offset))[offset:]

    def handover(self, ctxt: Context, instance: str, request: str | None) -> HandoverRecord | None:
        """One of the newest; of this instance the newest if ``request`` is None."""
        for record in self._run(self._newest(HANDOVERS_LIMIT)):
            if record.id.instance == instance and request in {None, record.id.request}:
                return record
        return None

    def services(self, ctxt: Context) -> list[dict[str, Any]]:
        """All services by name, and the phase of each: idle outside a handover."""
        return self._run(self._described())

    def propose_policy(self, ctxt: Context, service: str) -> dict[str, Any]:
        """A policy for a service, from a sample of its requests."""
        return self._run(self._proposed(service))

    async def _proposed(self, service: str) -> dict[str, Any]:
        route = self._registry.route(service)
        if route is None:
            raise ComponentError(f"this agent serves no service named {service}")
        since, sample = self._samples.sample(service)
        return await asyncio.to_thread(proposal.proposed, route.service.policy, since, sample)

    def reload(self, ctxt: Context) -> list[str]:
        """Read the service files now; the errors."""
        return self._run(self._registry.refresh(force=True), RELOAD_LIMIT)

    def ping(self, ctxt: Context) -> dict[str, Any]:
        """The name, the versions, the state of the RPC server, errors in the service files."""
        server = self.server
        return {
            "host": self._host,
            "version": metadata.version("nova-cachemig"),
            "rpc_version": VERSION,
            "listening": server is not None and server.listening,
            "faults": {} if server is None else server.faults.counts(),
            "unreachable": self._registry.unreachable(),
            "service_errors": list(self._registry.file_errors),
        }

    async def _described(self) -> list[dict[str, Any]]:
        phases = self._manager.phases()
        found = self._registry.describe(lambda name: phases.get(name, Phase.IDLE).value)
        return sorted(found, key=lambda service: str(service["name"]))

    async def _newest(self, limit: int) -> list[HandoverRecord]:
        live = {record.id: record for record in self._manager.live()}
        kept = await self._store.newest(limit)
        merged = [live.pop(record.id, record) for record in kept]
        newest = sorted([*live.values(), *merged], key=lambda r: r.started, reverse=True)
        return newest[:limit]


class ReviewEndpoint(_OnLoop):
    """Implements :class:`nova_cachemig.rpc.journal.JournalEndpoint`.

    ``review`` None: the agent does not serve its journal, and each method says so. Without
    ``content``, no response holds what a user has sent.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, review: Review | None, *, content: bool
    ) -> None:
        super().__init__(loop)
        self._review = review
        self._content = content

    def writes(
        self,
        states: Sequence[WriteState],
        service: str | None,
        after: str | None,
        *,
        content: bool,
    ) -> dict[str, Any]:
        """One page of writes."""
        if content:
            self._check_content()
        page = self._blocking(lambda r: r.writes(states, service, after, content=content))
        if not self._content:
            page["writes"] = [_metadata(facts) for facts in page["writes"]]
        return page

    def write(self, name: str) -> dict[str, Any]:
        """One write with its content."""
        found = self._blocking(lambda review: review.write(name))
        return found if self._content else _metadata(found)

    def body(self, name: str, chunk: int) -> dict[str, Any]:
        """One chunk of a body."""
        self._check_content()
        return self._blocking(lambda review: review.body(name, chunk))

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again."""
        self._blocking(lambda review: review.resend(name, reason, asked_by))

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""
        self._blocking(lambda review: review.discard(name, reason, asked_by))

    def _check_content(self) -> None:
        if not self._content:
            raise ValueError(_NO_CONTENT)

    def _blocking(self, work: Callable[[Review], T]) -> T:
        if self._review is None:
            raise ValueError(_NOT_SERVED)
        return self._run(asyncio.to_thread(work, self._review), JOURNAL_LIMIT)


def _metadata(facts: dict[str, Any]) -> dict[str, Any]:
    """A write without what its user has sent: a query string may hold a secret, too."""
    kept = {name: value for name, value in facts.items() if name not in _CONTENT}
    if "url" in kept:
        kept["url"] = str(kept["url"]).partition("?")[0]
    return kept

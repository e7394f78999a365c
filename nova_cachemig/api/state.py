"""The agent's state over RPC: the requests of ``nova-cachemig-manage``, few at the same time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.api.errors import ApiError
from nova_cachemig.api.snapshot import KnownHandovers, Snapshot
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc.agent import HANDOVERS_LIMIT, HANDOVERS_PAGE
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from nova_cachemig.rpc.journal import JournalClient

LOG = log.getLogger(__name__)
Wire = dict[str, Any]

_SILENT: Final = "the agent on the cache node does not respond; try again later"
_REFUSED: Final = "the agent does not give access to this"


class AgentState:
    """Implements :class:`nova_cachemig.api.call.State` for the agent of ``conf``.

    All threads of a process share it. The connection opens with the first request.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        options = conf.api
        self._timeout = options.agent_timeout
        self._agent = AgentClient(
            conf, conf.agent.topic, host=conf.agent.host, rpc_timeout=self._timeout
        )
        self._journal = JournalClient(conf, conf.agent.topic, conf.agent.host, self._timeout)
        self._turns = threading.BoundedSemaphore(options.agent_requests)
        self._services = Snapshot(self._load_services, options.state_age)
        known = KnownHandovers(self._page, HANDOVERS_LIMIT, HANDOVERS_PAGE)
        self._handovers = Snapshot(known.refresh, options.state_age)

    def close(self) -> None:
        """Close the connections."""
        self._agent.close()
        self._journal.close()

    def services(self) -> Sequence[Wire]:
        """All services by name."""
        return self._services.get()

    def handovers(self) -> Sequence[HandoverRecord]:
        """The newest handovers, the newest first."""
        return self._handovers.get()

    def writes(
        self, states: Sequence[WriteState], service: str | None, after: str | None
    ) -> Iterator[Wire]:
        """The writes in these states, by service and position, behind the write ``after``."""
        nothing: Wire = {}
        found = self._journal.writes(states, service, after=after)
        while True:
            with self._asking():
                facts = next(found, nothing)
            if facts is nothing:
                return
            yield facts

    def write(self, service: str, position: int) -> Wire | None:
        """One write; None if the journal has none of this name.

        The list has it without its content, which the agent would read and send.
        """
        name = f"{service}/{position}"
        after = f"{service}/{position - 1}" if position else None
        facts = next(self.writes(tuple(WriteState), service, after), None)
        return facts if facts is not None and facts["write"] == name else None

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again. Raises ApiError (409)."""
        with self._deciding():
            self._journal.resend(name, reason, asked_by)
        LOG.info("write %s: %s wants it sent again", name, asked_by)

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write. Raises ApiError (409)."""
        with self._deciding():
            self._journal.discard(name, reason, asked_by)
        LOG.info("write %s: %s discarded it", name, asked_by)

    def _load_services(self) -> list[Wire]:
        with _errors():
            return self._agent.services({})

    def _page(self, limit: int, offset: int) -> list[HandoverRecord]:
        with _errors():
            return self._agent.handovers({}, limit, offset)

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._timeout):
            raise ApiError(503, "too many requests about writes at the same time; try again later")
        try:
            with _errors():
                yield
        finally:
            self._turns.release()

    @contextlib.contextmanager
    def _deciding(self) -> Iterator[None]:
        with self._asking():
            try:
                yield
            except RefusedError as exc:
                raise ApiError(409, f"{exc}") from exc


@contextlib.contextmanager
def _errors() -> Iterator[None]:
    """Turn errors of the RPC into those of the API, without names of hosts."""
    try:
        yield
    except UnreachableError as exc:
        LOG.warning("the agent does not respond: %s", exc)
        raise ApiError(503, _SILENT) from exc
    except RefusedError as exc:
        LOG.warning("the agent refuses a request: %s", exc)
        raise ApiError(503, _REFUSED) from exc

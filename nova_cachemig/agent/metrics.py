"""The agent's numbers for Prometheus. It only reads counters, in the event loop."""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable, Mapping
from typing import Final

from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.lag import LoopLag
from nova_cachemig.agent.manager.manager import HandoverManager
from nova_cachemig.agent.services.registry import ServiceRegistry
from nova_cachemig.agent.writes import Writes
from nova_cachemig.conf.metrics import Address
from nova_cachemig.metrics.declared import AGENT, RESPONDS
from nova_cachemig.metrics.families import DeclaredCollector, Values, on_loop
from nova_cachemig.metrics.listener import Listener
from nova_cachemig.model.phase import Phase
from nova_cachemig.rpc.server import RpcServer

_HUNG: Final[Values] = {RESPONDS: 0.0}


class AgentNumbers:
    """Reads the components. ``unreachable`` returns the last known number of such services."""

    def __init__(
        self,
        manager: HandoverManager,
        engine: HaproxyVarnish,
        writes: Writes,
        registry: ServiceRegistry,
        unreachable: Callable[[], int],
    ) -> None:
        self._manager = manager
        self._engine = engine
        self._writes = writes
        self._registry = registry
        self._unreachable = unreachable
        self.lag = LoopLag()

    def take(self, server: RpcServer) -> Values:
        """Return the value of each metric in :data:`AGENT`, but that of the build.

        It costs the same with any number of services. Each live handover and each service with
        an intake adds about a microsecond.
        """
        return {
            RESPONDS: 1.0,
            "nova_cachemig_loop_lag_seconds": self.lag.lags.copy(),
            "nova_cachemig_bus_listening": float(server.listening),
            "nova_cachemig_bus_faults_total": float(sum(server.faults.counts().values())),
            **self._of_services(),
            **self._of_edge(),
            **self._of_writes(),
        }

    def _of_services(self) -> Values:
        unreachable, known = self._unreachable(), len(self._registry.routes())
        phases = collections.Counter[str](dict.fromkeys(Phase, 0))
        phases.update(record.phase for record in self._manager.live())
        opened = self._engine.totals.opened
        return {
            "nova_cachemig_services": {
                "reachable": float(max(0, known - unreachable)),
                "unreachable": float(unreachable),
            },
            "nova_cachemig_service_file_errors": float(len(self._registry.file_errors)),
            "nova_cachemig_handovers": _floats(phases),
            "nova_cachemig_handovers_ended_total": _floats(self._manager.ended),
            "nova_cachemig_fail_opens_total": {
                **_floats(self._manager.fail_opens),
                "agent_away": float(opened),
            },
        }

    def _of_edge(self) -> Values:
        totals = self._engine.totals
        return {
            "nova_cachemig_reads_total": _floats(totals.reads),
            "nova_cachemig_held_requests_total": float(totals.held_requests),
            "nova_cachemig_held_seconds": totals.held.copy(),
            "nova_cachemig_refused_requests_total": _floats(totals.refused),
            "nova_cachemig_engine_reloads_total": _floats(totals.reloads),
            "nova_cachemig_engine_restarts_total": _floats(self._engine.restarts),
        }

    def _of_writes(self) -> Values:
        journal, queued = self._writes.journal, self._writes.queued()
        totals, commits = journal.totals, journal.writer.counts
        return {
            "nova_cachemig_journal_writes": {
                "waiting": float(queued.waiting),
                "in_flight": float(queued.in_flight),
            },
            "nova_cachemig_journal_waiting_bytes": float(queued.waiting_bytes),
            "nova_cachemig_writes_total": {
                "accepted": float(totals.accepted),
                "responded": float(totals.responded),
                "in_doubt": float(totals.in_doubt),
                "refused": float(totals.refused + self._writes.refused),
                "unknown": float(totals.unknown),
            },
            "nova_cachemig_write_wait_seconds": totals.waits.copy(),
            "nova_cachemig_journal_commits_total": float(commits.commits),
            "nova_cachemig_journal_commit_seconds_total": commits.commit_time,
        }

    def listener(
        self, address: Address, loop: asyncio.AbstractEventLoop, server: RpcServer
    ) -> Listener:
        """Return the listener, not started. Its threads ask ``loop`` for the numbers."""
        take = on_loop(loop, lambda: self.take(server), _HUNG)
        return Listener(address, DeclaredCollector("agent", AGENT, take))


def _floats(counts: Mapping[str, int]) -> dict[str, float]:
    return {str(name): float(count) for name, count in counts.items()}

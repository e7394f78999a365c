"""The listening sockets of the intake, and the state that all connections share."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import weakref
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_cachemig.agent.intake.handler import RequestHandler
from nova_cachemig.agent.intake.liveness import LivenessProtocol
from nova_cachemig.agent.intake.protocol import IntakeProtocol
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.spool import Spool
from nova_cachemig.agent.journal.upload import MemoryBudget, Upload
from nova_cachemig.agent.ports import alive_socket
from nova_cachemig.model.write import Body

LOG = logging.getLogger(__name__)

_BACKLOG = 4096  # unaccepted connections: the edge opens many at the switchover
_CHECKS = 16  # unaccepted connections of the edge's check, which makes one at a time
_MEMORY = 64 << 20  # bytes of bodies in memory; above it, they go to the spool immediately
_SERVICE_MEMORY = 16 << 20  # of one service
_PATIENCE = 10.0  # seconds without a byte until the rest of a body is no longer reserved


class IntakeServer:
    """Serves the edge on a unix socket that only the agent's user can use."""

    def __init__(
        self, conf: cfg.ConfigOpts, handler: RequestHandler, spool: Spool, path: Path
    ) -> None:
        self.handler = handler
        self.connections: set[IntakeProtocol] = set()
        self._threshold: int = conf.journal.spool_threshold
        self._body_timeout: float = conf.journal.body_timeout
        self._spool = spool
        self._path = path
        self._alive_path = Path(alive_socket(str(path)))
        self._servers: list[asyncio.Server] = []
        self._watchdog: asyncio.Task[None] | None = None  # closes stalled connections
        self._tasks: set[asyncio.Task[None]] = set()
        self._memory = MemoryBudget(_MEMORY)
        self._budgets: weakref.WeakValueDictionary[str, MemoryBudget] = (
            weakref.WeakValueDictionary()
        )

    async def start(self) -> None:
        """Listen. Raises JournalError if a socket cannot be created."""
        for path in (self._alive_path, self._path):
            path.unlink(missing_ok=True)  # the directory's lock excludes another listener
        await self._listen(self._path, lambda: IntakeProtocol(self), _BACKLOG)
        await self._listen(self._alive_path, LivenessProtocol, _CHECKS)  # the edge sends writes now
        self._watchdog = asyncio.create_task(self._watch(), name="intake watchdog")

    async def _listen(
        self, path: Path, protocol: Callable[[], asyncio.Protocol], backlog: int
    ) -> None:
        loop = asyncio.get_running_loop()
        mask = os.umask(0o177)
        try:
            server = await loop.create_unix_server(protocol, str(path), backlog=backlog)
        except OSError as exc:
            raise JournalError(f"cannot listen on the intake socket {path}: {exc}") from exc
        finally:
            os.umask(mask)
        self._servers.append(server)

    async def stop_listening(self) -> None:
        """Accept no more connections. The edge's check fails first."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        if self._servers:
            for path in (self._alive_path, self._path):
                path.unlink(missing_ok=True)
        for server in reversed(self._servers):
            server.close()

    async def stop(self, patience: float) -> None:
        """Wait up to ``patience`` seconds for the responses in progress, then close connections."""
        tasks = [c.task for c in self.connections if c.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=patience)
        for connection in tuple(self.connections):
            connection.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def upload(self, service: str) -> Upload:
        """Start receiving a body for a service."""
        budget = self._budgets.get(service)
        if budget is None:
            budget = self._budgets[service] = MemoryBudget(_SERVICE_MEMORY, self._memory)
        return Upload(self._spool, self._threshold, budget)

    def read(self, body: Body) -> Iterator[bytes]:
        """Return the content of a response's spool file. The iterator blocks."""
        return body.content or self._spool.read(body.spool or "")

    def release(self, chunks: Iterator[bytes]) -> None:
        """Close the file of :meth:`read` in a thread.

        It may be deleted by now. The file system then frees its space at this time, and may need
        long for a large file.
        """
        asyncio.get_running_loop().run_in_executor(None, _close, chunks)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work for which no connection waits."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(self._body_timeout / 4, 5.0))
            now = loop.time()
            for connection in tuple(self.connections):
                if connection.stalled(now - _PATIENCE):
                    connection.yield_room()
                if connection.stalled(now - self._body_timeout):
                    LOG.info(
                        "Closing a connection whose request stalled for %s s", self._body_timeout
                    )
                    connection.close()


def _close(chunks: Iterator[bytes]) -> None:
    if isinstance(chunks, Generator):
        with contextlib.suppress(ValueError):  # another thread reads: it closes the file
            chunks.close()

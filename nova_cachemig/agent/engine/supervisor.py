"""Keeps one engine running: starts or adopts it, and restarts it when it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Awaitable, Callable

from oslo_log import log

from nova_cachemig.agent.engine.process import Process
from nova_cachemig.agent.ports import ComponentError

LOG = log.getLogger(__name__)

MIN_PAUSE, MAX_PAUSE = 0.05, 5.0
"""Seconds between two failed starts; the pause doubles each time."""
HEALTHY_AFTER = 10.0
"""Seconds after which an engine counts as healthy: its next restart begins with MIN_PAUSE."""


class Supervisor:
    """Supervises one process."""

    def __init__(
        self,
        process: Process,
        prepare: Callable[[], None],
        ready: Callable[[], Awaitable[None]],
        timeout: float,
    ) -> None:
        """``prepare`` writes the files before a start; ``ready`` returns once the engine responds.

        ``timeout`` limits ``ready``, in seconds.
        """
        self._process = process
        self._prepare = prepare
        self._ready = ready
        self._timeout = timeout
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start the engine; return when it responds. Raises ComponentError with its last output."""
        self._prepare()
        self._process.spawn()
        try:
            await self._wait_ready()
        except ComponentError:
            await self._process.terminate(signal.SIGKILL, 5)
            raise
        self.watch()

    def watch(self) -> None:
        """Restart the engine from now on whenever it ends."""
        if self._task is None:
            self._task = asyncio.create_task(
                self._restart_forever(), name=f"supervise {self._process.name}"
            )

    async def unwatch(self) -> None:
        """No longer restart the engine."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _wait_ready(self) -> None:
        name = self._process.name
        ready = asyncio.ensure_future(self._ready())
        ended = asyncio.ensure_future(self._process.wait())
        try:
            await asyncio.wait(
                {ready, ended}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if ready.done():
                ready.result()
                return
            fault = "ended" if ended.done() else f"did not respond within {self._timeout:g} s"
            raise ComponentError(f"{name} {fault}: {self._process.log_tail()}")
        finally:
            for task in (ready, ended):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ComponentError):
                    await task

    async def _restart_forever(self) -> None:
        pause = MIN_PAUSE
        while True:
            started = time.monotonic()
            await self._process.wait()
            LOG.error("%s ended: %s", self._process.name, self._process.log_tail())
            self.restarts += 1
            if time.monotonic() - started > HEALTHY_AFTER:
                pause = MIN_PAUSE
            while True:
                try:
                    self._prepare()
                    self._process.spawn()
                    await self._wait_ready()
                    break
                except (ComponentError, OSError) as exc:
                    LOG.error("%s: %s; next attempt in %g s", self._process.name, exc, pause)
                    self._process.send_signal(signal.SIGKILL)
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_PAUSE)

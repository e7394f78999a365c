"""Keeps one engine running: started or adopted, started again when it dies."""

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

FIRST_PAUSE, LONGEST_PAUSE = 0.05, 5.0
HEALTHY_AFTER = 10.0
"""Seconds after which an engine that dies is started again at once."""


class Supervisor:
    """``prepare`` puts the files in place; ``ready`` returns once the engine answers."""

    def __init__(
        self,
        process: Process,
        prepare: Callable[[], None],
        ready: Callable[[], Awaitable[None]],
        timeout: float,
    ) -> None:
        self._process = process
        self._prepare = prepare
        self._ready = ready
        self._timeout = timeout
        self._task: asyncio.Task[None] | None = None
        self.restarts = 0

    async def start(self) -> None:
        """Start it and return when it answers. Raises ComponentError with its last words."""
        self._prepare()
        self._process.spawn()
        try:
            await self._wait_ready()
        except ComponentError:
            await self._process.end(signal.SIGKILL, 5)
            raise
        self.watch()

    def watch(self) -> None:
        """From now on start it again when it dies."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep(), name=f"keep {self._process.name}")

    async def unwatch(self) -> None:
        """Let it end."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _wait_ready(self) -> None:
        name = self._process.name
        ready = asyncio.ensure_future(self._ready())
        gone = asyncio.ensure_future(self._process.exited())
        try:
            await asyncio.wait(
                {ready, gone}, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if ready.done():
                ready.result()
                return
            how = "ended at once" if gone.done() else f"did not answer within {self._timeout:g} s"
            raise ComponentError(f"{name} {how}: {self._process.last_words()}")
        finally:
            for task in (ready, gone):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, ComponentError):
                    await task

    async def _keep(self) -> None:
        pause = FIRST_PAUSE
        while True:
            since = time.monotonic()
            await self._process.exited()
            self.restarts += 1
            LOG.error("%s ended: %s", self._process.name, self._process.last_words())
            if time.monotonic() - since > HEALTHY_AFTER:
                pause = FIRST_PAUSE
            while True:
                try:
                    self._prepare()
                    self._process.spawn()
                    await self._wait_ready()
                    break
                except (ComponentError, OSError) as exc:
                    LOG.error("%s: %s; again in %g s", self._process.name, exc, pause)
                    self._process.send(signal.SIGKILL)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

"""A guest that streams, in a namespace whose packets can be dropped, behind real engines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine import blackout
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import until

ROOT = Path(__file__).resolve().parents[3]
PORT = 8080
SILENCE = 1.5
"""Seconds: longer than TCP's first retransmissions."""

REACHABLE = (EdgeState.PASS, EdgeState.ARMED, EdgeState.REPLAY, EdgeState.DRAIN, EdgeState.PASS)


class StreamCase(EngineCase):
    """``self.edge`` serves the program ``kind`` of :mod:`guests`."""

    kind = ""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.namespace = blackout.Namespace()
        self.addCleanup(self.namespace.delete)
        self.namespace.create()
        self.log = self.root / "guest.log"
        self.program = self._start()
        self.addCleanup(self._kill)
        self.target = Target(self.namespace.address, PORT)
        await self.engine.apply(self.routes())
        await until(self._reachable, 30)

    def routes(self) -> list[Route]:
        return [Route(self.service, self.target)]

    def _start(self) -> subprocess.Popen[bytes]:
        command = ["ip", "netns", "exec", self.namespace.name, sys.executable, "-m"]
        command += ["tests.functional.streams.guests", self.kind, self.namespace.address, str(PORT)]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with self.log.open("wb") as log:
            return subprocess.Popen(
                command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
            )

    def _kill(self) -> None:
        self.program.kill()
        self.program.wait(10)

    def _reachable(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(tuple(self._target()), 0.2):
            return True
        return False

    def _target(self) -> tuple[str, int]:
        return self.target.address, self.target.port

    def begun(self, path: str) -> int:
        """How many streams of this path have begun at the guest."""
        return self.log.read_text().splitlines().count(f"+ {path}")

    def ended(self, path: str) -> int:
        """How many of them have ended."""
        return self.log.read_text().splitlines().count(f"- {path}")

    async def pause(self) -> None:
        """The guest is silent from now on."""
        self.program.send_signal(signal.SIGSTOP)
        await self.namespace.pause()
        await self.flip(EdgeState.SHIELDED)

    async def resume(self) -> None:
        """The guest is back, and the agent has noticed it."""
        await self.namespace.resume()
        self.program.send_signal(signal.SIGCONT)
        await until(self._reachable, 30)
        await self.flip(EdgeState.REPLAY)
        await self.engine.resend_lost(self.service.name)

    @contextlib.asynccontextmanager
    async def silence(self) -> AsyncIterator[None]:
        """The guest is silent during the body, and for some time at least."""
        await self.pause()
        least = asyncio.create_task(asyncio.sleep(SILENCE))
        yield
        await least
        await self.resume()

    async def through(self, step: Callable[[str], object]) -> None:
        """Go through a whole handover; ``step`` is called in each phase."""
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            await step(state.value)  # type: ignore[misc]
        async with self.silence():
            await step("silent")  # type: ignore[misc]
        for state in (EdgeState.REPLAY, EdgeState.DRAIN, EdgeState.PASS):
            await self.flip(state)
            await step(state.value)  # type: ignore[misc]

"""HAProxy and Varnish of a run. They outlive the processes that are killed, as in production."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.crashing.whole import Where, engine_for
from tests.functional.ports import free_port
from tests.functional.replay.path import conf_for

_END: Final = 10.0  # seconds for the engines to end


class Front:
    """Starts the engines, and ends them."""

    def __init__(self, directory: Path, ports: Iterable[int], intake_socket: str) -> None:
        """``ports``: the guest's, for the edge and for the journal."""
        guest, journal = ports
        self.where = Where(str(directory / "run"), free_port(), guest, journal)
        self._directory = directory
        self._intake_socket = intake_socket
        self._pids: list[int] = []

    async def start(self, *, honours_keys: bool) -> None:
        """Return when the edge serves the guest."""
        engine = engine_for(conf_for(self._directory), self.where, self._intake_socket)
        await engine.start()
        self._pids = [pid for pid in engine.pids.values() if pid is not None]
        await engine.apply([self.where.route(honours_keys=honours_keys)])
        await engine.detach()

    async def stop(self) -> None:
        """End the engines."""
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END):
                while any(_runs(pid) for pid in self._pids):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)


def _runs(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(pid, os.WNOHANG)[0] == pid:
            return False
    return Path(f"/proc/{pid}").exists()

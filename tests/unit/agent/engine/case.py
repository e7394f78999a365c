"""Processes of a test, which end with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.engine.process import Process

SLEEP = shutil.which("sleep") or "/bin/sleep"
SHELL = shutil.which("sh") or "/bin/sh"


class ProcessCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.pids: set[int] = set()
        self.addCleanup(self.end)

    def end(self) -> None:
        for pid in self.pids:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)

    def process(self, *argv: str) -> Process:
        return Process("x", argv, self.folder)

    def spawn(self, process: Process) -> int:
        process.spawn()
        assert process.pid is not None
        self.pids.add(process.pid)
        return process.pid

"""A second agent on the same directory is refused."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.journal.errors import JournalError, JournalLocked
from nova_cachemig.agent.journal.lock import DirectoryLock

HOLD = """
import sys, pathlib
from nova_cachemig.agent.journal.lock import DirectoryLock
lock = DirectoryLock(pathlib.Path(sys.argv[1])); lock.take()
print("taken", flush=True); sys.stdin.read()
"""


class DirectoryLockTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name)

    def test_the_error_names_the_owner_and_a_kill_frees_the_lock(self) -> None:
        command = [sys.executable, "-c", HOLD, str(self.path)]
        holder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert holder.stdout is not None
            self.assertEqual("taken\n", holder.stdout.readline())
            with self.assertRaisesRegex(JournalLocked, f"process {holder.pid}"):
                DirectoryLock(self.path).take()
        finally:
            holder.kill()
            holder.communicate()
        lock = DirectoryLock(self.path)
        lock.take()
        self.assertEqual(f"{os.getpid()}\n", (self.path / "journal.lock").read_text())
        lock.release()

    def test_a_directory_that_cannot_be_made(self) -> None:
        (self.path / "file").write_text("")
        with self.assertRaisesRegex(JournalError, "state directory"):
            DirectoryLock(self.path / "file" / "below").take()

"""A second agent on the same directory is refused."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.journal.errors import JournalError, JournalLocked
from nova_cachemig.agent.journal.lock import DirectoryLock, holder

HOLD = """
import sys, pathlib
from nova_cachemig.agent.journal.lock import DirectoryLock, holder
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
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert child.stdout is not None
            self.assertEqual("taken\n", child.stdout.readline())
            with self.assertRaisesRegex(JournalLocked, f"process {child.pid}"):
                DirectoryLock(self.path).take()
        finally:
            child.kill()
            child.communicate()
        lock = DirectoryLock(self.path)
        lock.take()
        self.assertEqual(f"{os.getpid()}\n", (self.path / "journal.lock").read_text())
        lock.release()

    def test_a_directory_that_cannot_be_made(self) -> None:
        (self.path / "file").write_text("")
        with self.assertRaisesRegex(JournalError, "state directory"):
            DirectoryLock(self.path / "file" / "below").take()


class HolderTest(unittest.TestCase):
    def test_the_holder_is_seen_without_taking_the_lock(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            root = Path(name)
            self.assertIsNone(holder(root))
            first = DirectoryLock(root)
            first.take()
            self.assertEqual(str(os.getpid()), holder(root))
            first.release()
            self.assertIsNone(holder(root))
            first.take()
            first.release()

    def test_an_agent_that_starts_waits_for_it(self) -> None:
        with tempfile.TemporaryDirectory() as name:
            lock = DirectoryLock(Path(name))
            refused = [BlockingIOError(), BlockingIOError()]
            real = fcntl.flock

            def flock(fd: int, operation: int) -> None:
                if refused:
                    raise refused.pop()
                real(fd, operation)

            with mock.patch.object(fcntl, "flock", flock):
                lock.take()
            self.assertEqual(str(os.getpid()), holder(Path(name)))
            lock.release()

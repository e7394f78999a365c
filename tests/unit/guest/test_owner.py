"""Locks that show which processes are alive."""

from __future__ import annotations

import fcntl
import os
import signal
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.guest import owner


class OwnerTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def child(self) -> tuple[int, str]:
        """Start a process that holds an owner's lock until it is killed."""
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                me = owner.Owner(self.directory)
                os.write(writer, me.name.encode())
                signal.pause()
            finally:
                os._exit(1)
        os.close(writer)
        with os.fdopen(reader) as file:
            return pid, file.read(16)

    def test_a_process_is_alive_until_it_is_killed(self) -> None:
        pid, name = self.child()
        try:
            self.assertTrue(owner.is_alive(self.directory, name))
            owner.remove_dead(self.directory)
            self.assertTrue(owner.is_alive(self.directory, name))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        self.assertFalse(owner.is_alive(self.directory, name))
        with (self.directory / name).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)  # as another process that checks at the same time
            self.assertFalse(owner.is_alive(self.directory, name))
        owner.remove_dead(self.directory)
        self.assertEqual([], list(self.directory.iterdir()))
        self.assertFalse(owner.is_alive(self.directory, name))

    def test_a_child_does_not_keep_its_parent_alive(self) -> None:
        me = owner.Owner(self.directory)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                me.forked()
                os.write(writer, b"x")
                signal.pause()
            finally:
                os._exit(1)
        try:
            os.read(reader, 1)
            self.assertTrue(owner.is_alive(self.directory, me.name))
            me.forked()  # like a crash of this process: the file stays
            self.assertFalse(owner.is_alive(self.directory, me.name))
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os.close(reader)
            os.close(writer)

    def test_release(self) -> None:
        me = owner.Owner(self.directory)
        me.release()
        self.assertFalse(owner.is_alive(self.directory, me.name))
        self.assertEqual([], list(self.directory.iterdir()))

    def test_exclusive_ends_with_the_block(self) -> None:
        entered = 0
        for _ in range(2):
            with owner.exclusive(self.directory):
                entered += 1
        self.assertEqual(2, entered)

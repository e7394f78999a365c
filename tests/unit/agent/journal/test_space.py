"""The check of the disk's free space."""

from __future__ import annotations

import os
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.journal import space
from nova_cachemig.agent.journal.space import FreeSpace


class FreeSpaceTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def test_a_full_disk_is_logged_once(self) -> None:
        full = FreeSpace(self.directory, 1 << 62)
        with self.assertLogs(space.LOG, "WARNING") as logs:
            self.assertFalse(full.has_room())
            self.assertFalse(full.has_room(look=True))
        self.assertEqual(1, len(logs.output))

    def test_a_request_beyond_what_is_free(self) -> None:
        some = FreeSpace(self.directory, 1)
        self.assertTrue(some.has_room())
        self.assertFalse(some.has_room(1 << 62))

    def test_it_looks_twice_a_second_or_when_asked(self) -> None:
        some = FreeSpace(self.directory, 1)
        with mock.patch.object(space.os, "statvfs", wraps=os.statvfs) as statvfs:
            some.has_room()
            some.has_room()
            self.assertEqual(1, statvfs.call_count)
            some.has_room(look=True)
            self.assertEqual(2, statvfs.call_count)

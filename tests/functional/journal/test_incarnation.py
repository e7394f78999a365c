"""A real file system that is mounted again."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.agent.journal import incarnation
from nova_cachemig.agent.journal.progress import _BOOT_ID, ProgressLog
from tests.crashing.volume import Volume


class IncarnationTest(unittest.TestCase):
    def test_a_file_system_that_was_mounted_again(self) -> None:
        with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
            volume = Volume(Path(name), mebibytes=64)
            stack.callback(volume.destroy)
            volume.mount()
            log = ProgressLog(volume.path / "progress.log")
            log.open()
            log.reset()
            log.log_sent("shop", 1)
            log.close()
            before = incarnation.of(volume.path, _BOOT_ID)
            self.assertEqual(before, incarnation.of(volume.path, _BOOT_ID))
            self.assertTrue(ProgressLog(volume.path / "progress.log").open().complete)
            volume.unmount()
            volume.mount()
            self.assertNotEqual(before, incarnation.of(volume.path, _BOOT_ID))
            self.assertFalse(ProgressLog(volume.path / "progress.log").open().complete)

    def test_a_bind_mount_is_the_same_file_system(self) -> None:
        """A container that starts again has another mount of the same file system."""
        with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
            found = [incarnation.of(Path(one), _BOOT_ID)]
            for _ in range(2):
                subprocess.run(["mount", "--bind", one, other], check=True)
                try:
                    found.append(incarnation.of(Path(other), _BOOT_ID))
                finally:
                    subprocess.run(["umount", other], check=True)
        self.assertEqual(1, len(set(found)), found)

"""``tools/cloud`` with wrong arguments: they need no cloud, and leave none behind."""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


class ArgumentsTest(unittest.TestCase):
    def cloud(self, *words: str) -> subprocess.CompletedProcess[str]:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "cloud"
            done = subprocess.run(
                [ROOT / "tools/cloud", *words],
                env=os.environ | {"CACHEMIG_CLOUD_DIR": str(state)},
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            self.assertFalse(state.exists())
        return done

    def test_an_unknown_command_ends_with_2_and_the_usage(self) -> None:
        done = self.cloud("nonsense")
        self.assertEqual((2, ""), (done.returncode, done.stdout))
        self.assertIn("Usage: tools/cloud COMMAND", done.stderr)
        self.assertIn("cloud: unknown command nonsense", done.stderr)

    def test_help_ends_with_0(self) -> None:
        done = self.cloud("--help")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertIn("Usage: tools/cloud COMMAND", done.stdout)


if __name__ == "__main__":
    unittest.main()

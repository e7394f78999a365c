"""Runs :mod:`.nova_scenarios` in separate processes: eventlet patches a process for good."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

PYTHON = os.environ.get("CACHEMIG_NOVA_PYTHON", sys.executable)
"""The Python of the Nova to test: see ``tools/nova-releases``."""
ROOT = Path(__file__).parents[3]
LIMIT = 400.0  # seconds


class NovaInProcess(unittest.TestCase):
    def _run(self, disable_eventlet: str) -> None:
        done = subprocess.run(
            [PYTHON, "-W", "ignore", "-m", "unittest", "-v", _SCENARIOS],
            cwd=ROOT,
            env=os.environ | {"OS_NOVA_DISABLE_EVENTLET_PATCHING": disable_eventlet},
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        self.assertEqual(0, done.returncode, done.stderr[-20000:])
        self.assertNotIn("Ran 0 tests", done.stderr)

    def test_with_native_threads(self) -> None:
        self._run("true")

    def test_with_eventlet(self) -> None:
        self._run("false")


_SCENARIOS = "tests.functional.compute.nova_scenarios"

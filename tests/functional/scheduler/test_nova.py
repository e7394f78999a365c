"""Runs :mod:`.nova_scenarios` in separate processes, because eventlet patches a whole process."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).parents[3]
LIMIT = 600.0  # seconds


class NovaInProcess(unittest.TestCase):
    def _run(self, disable_eventlet: str, *names: str) -> None:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-m", "unittest", "-v", *(names or [_SCENARIOS])],
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
        # Only threads and forks differ there: the other scenarios would repeat the same code.
        self._run("false", f"{_SCENARIOS}.ByForecast", f"{_SCENARIOS}.WithoutBus")


_SCENARIOS = "tests.functional.scheduler.nova_scenarios"

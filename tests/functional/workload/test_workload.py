"""A small share of the workload; ``tests/writes-workload`` runs tens of thousands of writes."""

from __future__ import annotations

import json
import tempfile
import time
import unittest
from pathlib import Path

from tests.workload.run import Plan, execute, faults

_WRITES = 2000
_SECONDS = 60.0
_MEMORY = 300  # MiB


class WorkloadTest(unittest.TestCase):
    def test_no_write_is_lost_doubled_overtaken_or_crossed(self) -> None:
        seed = int(time.time()) // 3 * 3  # [journal] parallel is 1, as by default
        plan = Plan(_WRITES, seed, seconds=_SECONDS, small_disk=True)
        with tempfile.TemporaryDirectory(prefix="workload-") as directory:
            figures = execute(plan, Path(directory))
        self.assertEqual({}, faults(figures), json.dumps(figures, indent=2))
        self.assertGreater(figures["writes"], 200)
        self.assertGreater(figures["reads"], 200)
        self.assertGreater(sum(figures["migrations"].values()), 2)
        self.assertLess(figures["agent_mib"], _MEMORY)

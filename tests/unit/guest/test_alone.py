"""The package works with Python alone."""

from __future__ import annotations

import json
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_PROGRAM = """
import json, sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
import nova_cachemig.guest
print(json.dumps(sorted(set(sys.modules) - before)))
"""


class AloneTest(unittest.TestCase):
    def test_it_imports_the_standard_library_and_itself(self) -> None:
        # -I -S: without site-packages and environment, nothing else can be imported.
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(ROOT)]
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        loaded = json.loads(run.stdout)
        self.assertIn("nova_cachemig.guest.sqlite", loaded)
        foreign = [
            name
            for name in loaded
            if name.partition(".")[0] not in sys.stdlib_module_names
            and name != "nova_cachemig"
            and name.split(".")[:2] != ["nova_cachemig", "guest"]
        ]
        self.assertEqual([], foreign)

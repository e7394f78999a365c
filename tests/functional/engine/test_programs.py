"""The tests run the programs that they name: the host's, or those of CACHEMIG_ENGINES."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.functional.engine.rig import EngineCase


class ProgramsTest(EngineCase):
    async def test_the_running_programs_are_those_of_the_directory(self) -> None:
        directory = Path(os.environ.get("CACHEMIG_ENGINES", "/")).resolve()
        for name, pid in self.engine.pids.items():
            expected = directory / "usr/sbin" / name
            if not expected.exists():  # 2.8 has no Varnish of its own
                expected = Path(shutil.which(name) or name)
            with self.subTest(name):
                self.assertEqual(expected.resolve(), Path(f"/proc/{pid}/exe").resolve())

"""The tests run the programs that they name: the host's, or those of CACHEMIG_ENGINES."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tests.functional.engine.rig import EngineCase


def named(name: str) -> Path:
    """Return the program of the variable's directory. 2.8 has no Varnish: then the host's."""
    directory = Path(os.environ.get("CACHEMIG_ENGINES", "/")).resolve()
    program = directory / "usr/sbin" / name
    return program if program.exists() else Path(shutil.which(name) or name)


def is_same(program: Path, pid: int | None) -> bool:
    return program.samefile(f"/proc/{pid}/exe")


class ProgramsTest(EngineCase):
    async def test_the_running_programs_are_those_of_the_directory(self) -> None:
        for name, pid in self.engine.pids.items():
            with self.subTest(name):
                self.assertTrue(is_same(named(name), pid))

"""No program imports eventlet, and none prints a warning of its libraries."""

from __future__ import annotations

import configparser
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
RUN = """
import sys
from nova_cachemig.cmd import start
program, *sys.argv[1:] = sys.argv[1:]
sys.argv[0] = program
try:
    getattr(start, program)()
except SystemExit:
    pass
loaded = [name for name, module in sys.modules.items() if module and "oslo_messaging" in name]
found = [name for name, module in sys.modules.items() if module and "eventlet." in name + "."]
print("loaded", bool(loaded), "found", [name for name in found if name.startswith("eventlet")])
"""
MISSING = """
import sys
sys.modules["cotyledon"] = None  # as if oslo.service had no extra
from nova_cachemig.cmd import start
start.without_eventlet()
import nova_cachemig.rpc.bus
print("runs")
"""


def run(*words: str, code: str = RUN) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout, done.stderr


class StartTest(unittest.TestCase):
    def test_the_programs_start_here(self) -> None:
        parser = configparser.ConfigParser()
        parser.read(ROOT / "setup.cfg")
        for line in parser["entry_points"]["console_scripts"].split("\n")[1:]:
            name, target = line.split(" = ")
            self.assertEqual(
                f"nova_cachemig.cmd.start:{name.removeprefix('nova-cachemig-')}", target
            )

    def test_help_of_each_program_without_eventlet_and_without_a_warning(self) -> None:
        for program in ("agent", "api", "forecaster", "manage", "status"):
            with self.subTest(program):
                out, err = run(program, "--help")
                self.assertIn("loaded True found []", out.splitlines()[-1])
                self.assertEqual("", err)

    def test_a_command_without_eventlet_and_without_a_warning(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "agent.conf"
            path.write_text(f"[agent]\nstate_dir = {folder}\nservices_dir = {folder}/services.d\n")
            out, err = run("manage", "--config-file", str(path), "--offline", "service", "list")
        self.assertIn("loaded True found []", out.splitlines()[-1])
        self.assertEqual("", err)

    def test_without_the_extra_of_oslo_service_it_runs_as_before(self) -> None:
        out, _ = run(code=MISSING)
        self.assertEqual("runs\n", out)

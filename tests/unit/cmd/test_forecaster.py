from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.cmd import forecaster


class MainTest(unittest.TestCase):
    def main(self, *words: str) -> tuple[int, str]:
        err = io.StringIO()
        with (
            mock.patch("sys.argv", ["nova-cachemig-forecaster", *words]),
            contextlib.redirect_stderr(err),
        ):
            return forecaster.main(), err.getvalue()

    def test_the_arguments_and_the_status_are_those_of_the_service(self) -> None:
        with mock.patch.object(forecaster.service, "run", return_value=2) as run:
            self.assertEqual((2, ""), self.main("--config-file", "x"))
        run.assert_called_once_with(["--config-file", "x"])

    def test_without_a_configuration_it_does_not_start(self) -> None:
        with mock.patch.object(forecaster.service.cfg, "find_config_files", return_value=[]):
            code, err = self.main()
        self.assertEqual(2, code)
        self.assertRegex(err, r"^nova-cachemig-forecaster: no configuration file: write .*\n$")
        with tempfile.NamedTemporaryFile(suffix=".conf") as file:
            code, err = self.main("--config-file", file.name)
        self.assertEqual(2, code)
        self.assertIn("[DEFAULT] transport_url is not set", err)

    def test_help_says_what_the_program_is(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), self.assertRaises(SystemExit):
            self.main("--help")
        self.assertIn("Run the forecaster of nova-cachemig", out.getvalue())


class WarningsTest(unittest.TestCase):
    def test_no_program_shows_a_warning_of_its_libraries(self) -> None:
        root = Path(__file__).resolve().parents[3]
        for program in ("agent", "forecaster", "manage.app"):
            with self.subTest(program):
                done = subprocess.run(
                    [sys.executable, "-c", f"import nova_cachemig.cmd.{program}"],
                    cwd=root,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=True,
                )
                self.assertEqual("", done.stderr)

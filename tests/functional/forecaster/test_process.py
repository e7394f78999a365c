"""``nova-cachemig-forecaster`` as a process: starts, ends on SIGTERM, refuses nonsense."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import threading
import unittest
from pathlib import Path

MAIN = "import sys; from nova_cachemig.cmd.start import forecaster; sys.exit(forecaster())"


class Process(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)

    def command(self, **options: str) -> list[str]:
        lines = {"sources": "none", "history_file": f"{self.home}/state/h.npz"} | options
        path = self.home / "nova-cachemig.conf"
        path.write_text(
            "[DEFAULT]\ntransport_url = fake:/\n[telemetry]\n"
            + "".join(f"{name} = {value}\n" for name, value in lines.items())
        )
        return [sys.executable, "-c", MAIN, "--config-file", str(path)]

    def test_it_ends_on_sigterm_and_keeps_its_history(self) -> None:
        process = subprocess.Popen(
            self.command(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.addCleanup(process.wait)
        limit = threading.Timer(60.0, process.kill)  # ends the reading below
        limit.start()
        self.addCleanup(limit.cancel)
        assert process.stdout is not None
        self.addCleanup(process.stdout.close)
        heard = ""
        for line in process.stdout:
            heard += line
            if "forecasting cpu every 60 s" in line:
                process.send_signal(signal.SIGTERM)
                break
        rest = heard + process.stdout.read()
        process.wait(10)
        self.assertEqual(0, process.returncode, rest)
        self.assertTrue((self.home / "state" / "h.npz").exists())

    def test_nonsense_is_one_sentence(self) -> None:
        for options, words in (
            ({"sources": "ganglia"}, "no source is named 'ganglia'"),
            ({"keep": "7"}, "keep"),
            ({"sources": "prometheus", "prometheus_host_query": "up"}, "not 'METRIC = query'"),
        ):
            with self.subTest(options=options):
                done = subprocess.run(
                    self.command(**options), capture_output=True, text=True, timeout=60, check=False
                )
                self.assertEqual(2, done.returncode, done.stderr)
                self.assertIn(words, done.stderr)
                self.assertNotIn("Traceback", done.stderr)

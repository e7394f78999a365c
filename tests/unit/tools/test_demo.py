"""When the demonstration measures a case again."""

from __future__ import annotations

import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from tools.measurement.cases import CASES, DEFAULT, Case
from tools.measurement.cloud import Cloud
from tools.measurement.demo import ATTEMPTS, Demo

CASE = CASES[DEFAULT[0]]


class AttemptsTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.out = Path(directory.name)
        (self.out / "runs").mkdir()
        self.cloud = mock.create_autospec(Cloud, instance=True, python="python3")
        self.demo = Demo(self.cloud, self.out)
        self.measured: list[Case] = []
        self.reports: list[list[str]] = []
        for name in ("say", "_prepare", "_front"):
            self.enterContext(mock.patch.object(Demo, name))
        self.enterContext(mock.patch.object(Demo, "_run", self.run_case))

    def run_case(self, case: Case, protected: bool) -> Path:
        self.measured.append(case)
        return self.out / f"{len(self.measured)}-{protected}.json"

    def measure(self, *codes: int) -> list[str]:
        """Measure a case whose reports end with these codes; return the files that were kept."""
        left = list(codes)

        def report(words: list[str], **_: object) -> subprocess.CompletedProcess[str]:
            self.reports.append(words)
            return subprocess.CompletedProcess(words, left.pop(0))

        with mock.patch.object(subprocess, "run", report):
            self.demo.case(CASE)
        self.assertEqual([], left, "each code was needed")
        return [path.name.split("-")[0] for path in self.demo.runs]

    def test_a_case_that_holds_is_measured_once(self) -> None:
        self.assertEqual(["1", "2"], self.measure(0))

    def test_a_failed_claim_is_not_measured_again(self) -> None:
        self.assertEqual(["1", "2"], self.measure(1))

    def test_a_machine_that_was_too_busy_is_given_another_chance(self) -> None:
        self.assertEqual(["3", "4"], self.measure(2, 0))
        self.assertIn(str(self.out / "3-False.json"), " ".join(self.reports[1]))

    def test_the_attempts_are_bounded(self) -> None:
        self.assertEqual(["5", "6"], self.measure(2, 2))
        self.assertEqual(2 * ATTEMPTS, len(self.measured))

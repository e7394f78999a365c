from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
import unittest
from pathlib import Path

from tests.unit.tools.analysis import makers
from tools.measurement.command import main, verdict


class ReportTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def report(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["report", *words, "--out", str(self.folder / "out")])
        return status, out.getvalue(), err.getvalue()

    def run_file(self, name: str, **more: object) -> str:
        path = self.folder / name
        run = makers.run([makers.read(1)], **more)  # type: ignore[arg-type]
        path.write_text(json.dumps(run.to_wire()))
        return str(path)

    def test_a_control_alone(self) -> None:
        status, out, _ = self.report(self.run_file("a"))
        self.assertEqual(0, status)
        self.assertIn("precopy-1s  without", out)
        result = json.loads((self.folder / "out" / "result.json").read_text())
        self.assertEqual(1, len(result["runs"]))
        self.assertIn("cores", result["environment"])
        self.assertIn("<!doctype html>", (self.folder / "out" / "result.html").read_text())

    def test_a_failed_claim_fails(self) -> None:
        status, out, _ = self.report(self.run_file("a"), self.run_file("b", protected=True))
        self.assertEqual(1, status)
        self.assertIn("FAILED", out)

    def test_bad_files_are_one_line(self) -> None:
        (self.folder / "bad").write_text("{")
        (self.folder / "old").write_text('{"version": 0}')
        for name in ("bad", "old", "none"):
            status, _, err = self.report(str(self.folder / name))
            self.assertEqual((2, 1), (status, err.count("\n")), err)
            self.assertIn(name, err)


class VerdictTest(unittest.TestCase):
    def judge(self, *claims: tuple[bool, bool]) -> tuple[int, str]:
        listed = [{"case": "precopy-1s", "ok": ok, "busy": busy} for ok, busy in claims]
        err = io.StringIO()
        with contextlib.redirect_stderr(err):
            status = verdict({"claims": listed})
        return status, err.getvalue()

    def test_all_hold(self) -> None:
        self.assertEqual((0, ""), self.judge((True, False), (True, False)))

    def test_a_failure_is_not_hidden_by_a_busy_machine(self) -> None:
        self.assertEqual(1, self.judge((False, False), (False, True))[0])

    def test_too_busy_to_judge_is_printed(self) -> None:
        status, said = self.judge((True, False), (False, True), (False, True))
        self.assertEqual((2, 1), (status, said.count("\n")))
        self.assertIn("precopy-1s cannot be judged", said)


class LoadTest(unittest.TestCase):
    def setUp(self) -> None:
        # Threads of other tests log to standard error if the root logger has no handler.
        handler = logging.NullHandler()
        logging.getLogger().addHandler(handler)
        self.addCleanup(logging.getLogger().removeHandler, handler)

    def test_bad_arguments_are_one_line(self) -> None:
        url = ["load", "--out", "/dev/null", "--url", "http://127.0.0.1"]
        for words in (
            ["load", "--out", "/dev/null", "--url", "nonsense"],
            [*url, "--log-format", "regex"],
            [*url, "--log-format", "regex", "--log-pattern", "("],
            [*url, "--source-addresses", "x"],
            [*url, "--clients", "10", "--writers", "10"],
            [*url, "--surge", "10"],
            ["applied", "--config-file", "/nonexistent", "--service", "shop"],
            [*url, "--page", "/page"],
            [*url, "--access-log", "/nonexistent"],
        ):
            err = io.StringIO()
            with self.subTest(words), contextlib.redirect_stderr(err):
                self.assertEqual(2, main(words))
                self.assertEqual(1, err.getvalue().count("\n"), err.getvalue())

    def test_shares_and_counts_are_checked(self) -> None:
        url = ["load", "--out", "/dev/null", "--url", "http://127.0.0.1"]
        for words in (
            *(["--writes", "2"], ["--rate", "0"], ["--surge", "-1"], ["--writers", "x"]),
            *(["--clients", "0"], ["--duration", "x"]),
        ):
            with self.subTest(words), contextlib.redirect_stderr(io.StringIO()):
                self.assertRaises(SystemExit, main, [*url, *words])

import contextlib
import io
import json
import pathlib
import tempfile
import unittest

import numpy as np

from benchmarks.placementlib import cli
from tests.unit.forecast import families

METHODS = {
    "last value",
    "mean 1h",
    "ewma",
    "slow ewma",
    "holt",
    "local regression",
    "pooled regression",
    "default",
}
KEYS = {"mae", "rmse", "coverage_80", "regret_mean", "regret_ci95", "top1"}


class CliTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def trace(self, name):
        folder = self.root / name
        folder.mkdir()
        for i, row in enumerate(families.noise(24, 80)):
            np.savetxt(folder / f"vm{i}", np.stack([np.arange(80), row, row * 0], axis=1))
        return str(folder)

    def run_it(self, *argv):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = cli.main(argv)
        return status, out.getvalue(), err.getvalue()

    def test_results_of_each_trace_as_table_and_as_json(self):
        target = self.root / "result.json"
        status, out, _ = self.run_it(
            self.trace("one"), self.trace("two"), "--column", "2", "--interval", "300",
            "--seeds", "2", "--instants", "2", "--hosts", "3", "--vms", "4",
            "--split", "time", "--json", str(target),
        )  # fmt: skip
        self.assertEqual(0, status)
        results = json.loads(target.read_text())
        self.assertEqual(["one", "two"], list(results))
        for scores in results.values():
            self.assertEqual(METHODS, set(scores))
            self.assertTrue(all(set(s) >= KEYS for s in scores.values()))
            self.assertGreater(scores["last value"]["mae"], 0)  # the column is not the zeros
            self.assertEqual(
                {"method", "diff_mean", "diff_ci95", "diff_ci95_days", "days"},
                set(scores["default"]["vs_best"]),
            )
        self.assertIn("local regression", out)

    def test_a_path_without_a_trace(self):
        status, _, err = self.run_it(str(self.root / "nowhere"))
        self.assertEqual(1, status)
        self.assertIn("nowhere", err)

    def test_the_first_seed(self):
        trace, target = self.trace("one"), self.root / "result.json"

        def error(first, seeds):
            self.run_it(
                trace, "--column", "2", "--first-seed", str(first), "--seeds", str(seeds),
                "--instants", "1", "--hosts", "3", "--vms", "4", "--json", str(target),
            )  # fmt: skip
            return json.loads(target.read_text())["one"]["mean 1h"]["mae"]

        self.assertNotAlmostEqual(error(5, 1), error(6, 1))
        self.assertAlmostEqual(error(5, 2), (error(5, 1) + error(6, 1)) / 2)

    def test_what_cannot_be_a_number_of_seeds(self):
        for option, value in (("--first-seed", "-1"), ("--seeds", "0"), ("--instants", "0")):
            with self.subTest(option), self.assertRaises(SystemExit):
                self.run_it(str(self.root), option, value)

    def test_columns_are_counted_from_1(self):
        with self.assertRaises(SystemExit):
            self.run_it(str(self.root), "--column", "0")

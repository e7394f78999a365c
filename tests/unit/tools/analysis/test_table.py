from __future__ import annotations

import unittest

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.result import result
from tools.measurement.analysis.table import cell, rule, table


class TableTest(unittest.TestCase):
    def test_a_line_a_run_and_a_line_a_claim(self) -> None:
        found = result(
            [makers.run([makers.read(1)]), makers.run([makers.read(1)], protected=True)],
            generated_at="",
            environment={},
        )
        lines = table(found).splitlines()
        self.assertTrue(lines[1].startswith("precopy-1s  without"))
        self.assertTrue(lines[2].startswith("precopy-1s  with "))
        self.assertEqual(len(found["claims"]), sum(x.startswith(("ok ", "FAILED")) for x in lines))
        self.assertTrue(any(line.startswith("FAILED  precopy-1s  hits") for line in lines))

    def test_what_does_not_apply_is_a_dash(self) -> None:
        self.assertEqual("\N{EN DASH}", cell(None, 2))
        self.assertEqual("1,234.50", cell(1234.5, 2))
        self.assertEqual("7", cell(7, None))

    def test_columns_stand_under_each_other(self) -> None:
        self.assertEqual(["a     b", "cc  333"], rule([["a", "b"], ["cc", "333"]], 1))

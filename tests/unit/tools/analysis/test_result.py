from __future__ import annotations

import json
import unittest

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.result import in_order, result


class ResultTest(unittest.TestCase):
    def test_cases_in_order_control_first(self) -> None:
        runs = [
            makers.run(case="b", protected=True),
            makers.run(case="a", protected=True),
            makers.run(case="b"),
            makers.run(case="a"),
        ]
        order = [(run.case, run.protected) for run in in_order(runs)]
        self.assertEqual([("b", False), ("b", True), ("a", False), ("a", True)], order)

    def test_is_json_with_the_promised_members(self) -> None:
        runs = [makers.run([makers.read(1)]), makers.run([makers.read(1)], protected=True)]
        found = result(runs, generated_at="now", environment={"cores": 2})
        found = json.loads(json.dumps(found, allow_nan=False))
        self.assertLessEqual({"runs", "generated_at", "environment", "claims"}, set(found))
        self.assertEqual([False, True], [figures["protected"] for figures in found["runs"]])
        self.assertEqual(1, found["cacheable_paths"])

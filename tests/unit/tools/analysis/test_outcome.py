from __future__ import annotations

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.outcome import Request, Run, RunError

INSTANT = st.floats(0, 1000, allow_nan=False).map(lambda value: round(value, 5))
REQUEST = st.builds(
    Request,
    client=st.integers(0, 500),
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    path=st.sampled_from(["/a", "/b?c=d", "/ü"]),
    scheduled=INSTANT,
    sent=INSTANT,
    done=INSTANT,
    status=st.sampled_from([0, 200, 503]),
    failed=st.booleans(),
    hit=st.booleans(),
    storable=st.booleans(),
    error=st.sampled_from(["", "timeout"]),
    applied=st.none() | INSTANT,
)


def sent_and_back(run: Run) -> Run:
    return Run.from_wire(json.loads(json.dumps(run.to_wire())))


class RunTest(unittest.TestCase):
    @given(st.lists(REQUEST, max_size=20))
    def test_survives_the_wire(self, requests: list[Request]) -> None:
        self.assertEqual(requests, sent_and_back(makers.run(requests)).requests)
        run = makers.run(requests, (2, 3), phases={"armed": 1.5}, story=[])
        self.assertEqual(run.to_wire(), sent_and_back(run).to_wire())

    def test_survives_the_wire_without_audit_and_probes(self) -> None:
        run = makers.run([makers.read(1)], audit=None, probes=[], probe_interval=None)
        self.assertEqual(run.to_wire(), sent_and_back(run).to_wire())

    def test_runs_of_before_the_depth_are_read(self) -> None:
        wire = makers.run([makers.write(1)]).to_wire()
        del wire["requests"]["applied"]
        self.assertEqual([None], [r.applied for r in Run.from_wire(wire).requests])

    def test_another_version_is_refused(self) -> None:
        with self.assertRaisesRegex(RunError, "version 1"):
            Run.from_wire(makers.run().to_wire() | {"version": 2})
        with self.assertRaisesRegex(RunError, "version 1"):
            Run.from_wire([])  # type: ignore[arg-type]

    def test_damage_is_one_error(self) -> None:
        wire = makers.run([makers.read(1)]).to_wire()
        for damage in ({"requests": None}, {"audit": 3}, {"probes": [[1]]}, {"began": "x"}):
            with self.subTest(damage), self.assertRaisesRegex(RunError, "damaged run"):
                Run.from_wire(wire | damage)
        wire["requests"]["status"] = []
        with self.assertRaisesRegex(RunError, "damaged run"):
            Run.from_wire(wire)

    def test_latency_counts_from_the_scheduled_instant(self) -> None:
        late = makers.read(1.0, sent=1.5, done=1.6)
        self.assertAlmostEqual(0.6, late.latency)

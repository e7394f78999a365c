from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from tools.measurement.phases import PhasesError, from_files, parse

RECORD = HandoverRecord(
    id=HandoverId("uuid", "req-1"),
    services=("shop",),
    source="a",
    destination="b",
    phase=Phase.RELEASED,
    started=100.0,
    decisions=(
        Decision(100.0, Phase.WARMING, "Warm."),
        Decision(101.0, Phase.ARMED, "Arm."),
        Decision(103.0, Phase.ARMED, "Wait."),
    ),
)


class ParseTest(unittest.TestCase):
    def test_a_record_gives_the_first_instant_of_each_phase(self) -> None:
        wire = json.loads(json.dumps(RECORD.to_wire() | {"phases": {"warming": 0.0}}))
        phases, story = parse(wire)
        self.assertEqual({"warming": 100.0, "armed": 101.0}, phases)
        self.assertEqual((103.0, "Wait."), story[-1])

    def test_a_list_of_records(self) -> None:
        phases, story = parse([RECORD.to_wire(), {"migrate": 99.0}])
        self.assertEqual({"migrate", "warming", "armed"}, set(phases))
        self.assertEqual(3, len(story))

    def test_something_else(self) -> None:
        for wire in (3, "x", {"a": "b"}, {"decisions": 3}, [3]):
            with self.subTest(wire), self.assertRaises(PhasesError):
                parse(wire)


class FilesTest(unittest.TestCase):
    def test_seconds_since_the_start_in_order(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            times, handover = Path(folder, "times"), Path(folder, "handover")
            times.write_text('{"migrate": 99.5, "completed": 105}')
            handover.write_text(json.dumps(RECORD.to_wire()))
            since, story = from_files([handover, times, Path(folder, "none")], 90.0)
        self.assertEqual(
            [("migrate", 9.5), ("warming", 10.0), ("armed", 11.0), ("completed", 15.0)],
            list(since.items()),
        )
        self.assertEqual((10.0, "Warm."), story[0])

    def test_a_damaged_file_is_named(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            bad = Path(folder, "bad")
            bad.write_text("{")
            with self.assertRaisesRegex(PhasesError, "bad"):
                from_files([bad], 0.0)

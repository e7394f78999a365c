"""Handover records survive the wire and the disk."""

import json
import unittest

from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase


class HandoverRecordTest(unittest.TestCase):
    def test_round_trip(self):
        record = HandoverRecord(
            id=HandoverId("uuid", "req-1"),
            services=("shop",),
            source="a",
            destination="b",
            phase=Phase.RELEASED,
            started=1.5,
            ended=9.0,
            outcome=OutcomeKind.ROLLED_BACK,
            decisions=(Decision(2.0, Phase.ARMED, "armed"),),
            counts={"hits": 3},
            longest_wait=0.25,
        )
        wire = json.loads(json.dumps(record.to_wire()))
        self.assertEqual(record, HandoverRecord.from_wire(wire))

    def test_a_damaged_record_is_an_error(self):
        with self.assertRaises((KeyError, TypeError, ValueError)):
            HandoverRecord.from_wire({"id": {"instance": "x"}})

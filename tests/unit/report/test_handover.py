"""A handover's record, as an operator reads it."""

import dataclasses
import unittest

from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.report.handover import SUMMARY_COLUMNS, phase_times, story, summary_row

RECORD = HandoverRecord(
    id=HandoverId("uuid", "req-1"),
    services=("shop",),
    source="a",
    destination="b",
    phase=Phase.RELEASED,
    started=86400.0,
    ended=86409.0,
    outcome=OutcomeKind.COMPLETED,
    decisions=(
        Decision(86400.5, Phase.WARMING, "memory copy began"),
        Decision(86402.0, Phase.ARMED, "one service is armed"),
        Decision(86403.0, Phase.ARMED, "a page was fetched again"),
        Decision(86404.25, Phase.SHIELDED, "the guest was paused"),
    ),
    counts={"hits": 3, "held": 2, "writes": 1},
    longest_wait=0.25,
)


class SummaryTest(unittest.TestCase):
    def test_one_value_for_each_column(self):
        row = dict(zip(SUMMARY_COLUMNS, summary_row(RECORD), strict=True))
        self.assertEqual("1970-01-02 00:00:00", row["Started"])
        self.assertEqual("completed", row["Outcome"])
        self.assertEqual(("3", "2", "1"), (row["Hits"], row["Held"], row["Writes"]))
        self.assertEqual("0.250", row["Longest wait (s)"])

    def test_what_is_unknown_is_a_dash(self):
        unknown = dataclasses.replace(
            RECORD, source=None, destination=None, outcome=None, counts={}
        )
        row = dict(zip(SUMMARY_COLUMNS, summary_row(unknown), strict=True))
        names = ("From", "To", "Outcome", "Hits", "Held", "Writes", "Longest wait (s)")
        self.assertEqual({"-"}, {row[name] for name in names})


class TimelineTest(unittest.TestCase):
    def test_one_line_per_decision_with_seconds_since_the_start(self):
        lines = story(RECORD).splitlines()
        self.assertEqual(4, len(lines))
        self.assertEqual("   +4.250 s  shielded     the guest was paused", lines[-1])

    def test_a_phase_begins_with_its_first_decision(self):
        self.assertEqual({"warming": 0.5, "armed": 2.0, "shielded": 4.25}, phase_times(RECORD))

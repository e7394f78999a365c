"""The judge of the crash tests finds each planted fault within 60 kills."""

from __future__ import annotations

import asyncio
import unittest

from tests.crashing.cli import kills_until_found


class PlantedTest(unittest.TestCase):
    def found(self, name: str, *faults: str) -> None:
        kills, verdict = asyncio.run(kills_until_found(name, wanted=faults))
        self.assertIsNotNone(kills, {kind: len(found) for kind, found in verdict.faults.items()})

    def test_adjacent_writes_swapped(self) -> None:
        self.found("adjacent writes swapped", "overtaken")

    def test_responses_crossed(self) -> None:
        self.found("responses crossed", "crossed")

    def test_quarantined_not_listed(self) -> None:
        self.found("quarantined, not listed", "in_doubt_unlisted")

    def test_no_resume_delay(self) -> None:
        self.found("no resume delay", "overtaken", "doubled")

    def test_old_read(self) -> None:
        self.found("old read after a write", "old_reads")

    def test_old_page(self) -> None:
        self.found("old page after a write", "old_reads")

    def test_lost_at_the_release(self) -> None:
        self.found("write lost at the release", "lost")

    def test_overtaken_at_the_release(self) -> None:
        self.found("overtaken at the release", "reordered", "old_reads")

    def test_sent_again_after_the_guest_has_closed(self) -> None:
        self.found("sent again after the guest has closed", "doubled")

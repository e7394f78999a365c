"""Clients do not load the agent: one request in a while, and only the pages that may change."""

from __future__ import annotations

import dataclasses
import unittest

from nova_cachemig.api.errors import ApiError
from nova_cachemig.api.snapshot import KnownHandovers, Snapshot
from nova_cachemig.model.handover import HandoverRecord
from tests.unit.api.case import RED_VM, record


class SnapshotTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.loads = 0
        self.error: ApiError | None = None
        self.snapshot = Snapshot(self.load, 5.0, lambda: self.now)

    def load(self) -> int:
        self.loads += 1
        if self.error is not None:
            raise self.error
        return self.loads

    def test_it_is_loaded_again_after_its_age(self) -> None:
        self.assertEqual([1, 1], [self.snapshot.get(), self.snapshot.get()])
        self.now += 5
        self.assertEqual(2, self.snapshot.get())

    def test_an_error_is_kept_as_long(self) -> None:
        self.error = ApiError(503, "away")
        for _ in range(3):
            with self.assertRaises(ApiError):
                self.snapshot.get()
        self.assertEqual(1, self.loads)
        self.error = None
        self.now += 5
        self.assertEqual(2, self.snapshot.get())


class KnownHandoversTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 10_000.0
        self.pages = 0
        self.records = [record(RED_VM, f"req-{n}", "shop", started=float(n)) for n in range(50)]
        self.known = KnownHandovers(self.page, 40, 10, lambda: self.now)

    def page(self, limit: int, offset: int) -> list[HandoverRecord]:
        self.pages += 1
        ordered = sorted(self.records, key=lambda one: one.started, reverse=True)
        return ordered[offset : offset + limit]

    def refresh(self) -> tuple[list[str], int]:
        self.pages = 0
        return [one.id.request for one in self.known.refresh()], self.pages

    def test_the_second_time_one_page_is_enough(self) -> None:
        found, pages = self.refresh()
        self.assertEqual(([f"req-{n}" for n in range(49, 9, -1)], 4), (found, pages))
        self.assertEqual((found, 1), self.refresh())

    def test_a_new_one(self) -> None:
        self.refresh()
        self.records.append(record(RED_VM, "req-new", "shop", started=5000.0))
        found, pages = self.refresh()
        self.assertEqual(("req-new", 40, 1), (found[0], len(found), pages))

    def test_one_that_runs_is_read_again_wherever_it_is(self) -> None:
        old = self.records[25]
        self.records[25] = dataclasses.replace(old, ended=None)
        self.refresh()
        self.records[25] = old
        self.assertEqual(3, self.refresh()[1])
        self.assertEqual(old, next(one for one in self.known.refresh() if one.id == old.id))
        self.assertEqual(1, self.refresh()[1])

    def test_one_that_the_agent_no_longer_has_is_forgotten(self) -> None:
        self.records[45] = dataclasses.replace(self.records[45], ended=None)
        self.refresh()
        del self.records[45]
        found, _ = self.refresh()
        self.assertNotIn("req-45", found)
        self.assertEqual(1, self.refresh()[1])

"""Rings of cells: bounded, in the right column, the same after a restart."""

from __future__ import annotations

import math
import tempfile
import tracemalloc
import unittest
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.telemetry import history
from nova_cachemig.telemetry.history import AddResult, Ring

NOW = 1_772_366_400.0


def ring(width: int = 10, rows: int = 5) -> Ring:
    return Ring(resolution=60.0, width=width, max_rows=rows)


class Memory(unittest.TestCase):
    def test_growing_and_reading_need_little_more_than_the_cells(self) -> None:
        tracemalloc.start()
        self.addCleanup(tracemalloc.stop)
        cells, before = ring(width=4000, rows=3000), tracemalloc.get_traced_memory()[0]
        for number in range(3000):
            cells.add(f"host{number}", NOW, float(number), NOW)
        kept = 3000 * 4000 * 5
        self.assertLess(tracemalloc.get_traced_memory()[1] - before, 1.3 * kept)
        matrix = cells.matrix(NOW, 600.0)
        self.assertEqual((3000, 1), matrix.values.shape)
        np.testing.assert_array_equal(np.arange(3000.0), matrix.values[:, 0])
        self.assertLess(tracemalloc.get_traced_memory()[1] - before, 1.3 * kept)


class Adding(unittest.TestCase):
    def add(self, to: Ring, at: float, value: float, name: str = "a") -> AddResult:
        return to.add(name, at, value, at)

    def test_samples_of_one_cell_are_averaged_and_gaps_stay_gaps(self) -> None:
        cells = ring()
        for at, value in ((NOW, 10.0), (NOW + 20, 20.0), (NOW + 130, 50.0)):
            self.assertEqual(AddResult.TAKEN, self.add(cells, at, value))
        matrix = cells.matrix(NOW + 130, 60.0)
        np.testing.assert_array_equal([[15.0, np.nan, 50.0]], matrix.values)
        self.assertEqual(NOW + 130, matrix.end)

    def test_a_repeat_is_known_by_its_instant(self) -> None:
        cells = ring()
        self.add(cells, NOW, 10.0)
        self.assertEqual(AddResult.DUPLICATE, self.add(cells, NOW + 0.3, 10.0))
        self.assertEqual(AddResult.TAKEN, self.add(cells, NOW + 0.3, 10.0, "b"))

    def test_a_late_sample_finds_its_column_and_one_too_late_is_refused(self) -> None:
        cells = ring(width=3)
        self.add(cells, NOW, 1.0)
        self.assertEqual(AddResult.TAKEN, self.add(cells, NOW - 120, 3.0))
        self.assertEqual(AddResult.LATE, self.add(cells, NOW - 180, 3.0))
        np.testing.assert_array_equal([[3.0, np.nan, 1.0]], cells.matrix(NOW, 60.0).values)

    def test_what_falls_out_does_not_come_back(self) -> None:
        cells = ring(width=3)
        self.add(cells, NOW, 1.0)
        self.add(cells, NOW + 60 * 1000, 2.0)
        np.testing.assert_array_equal([[2.0]], cells.matrix(NOW + 60 * 1000, 60.0).values)

    def test_rows_are_bounded_and_the_oldest_are_dropped(self) -> None:
        cells = ring(width=3, rows=2)
        self.add(cells, NOW, 1.0, "a")
        self.add(cells, NOW, 1.0, "b")
        self.assertEqual(AddResult.FULL, self.add(cells, NOW, 1.0, "c"))
        self.add(cells, NOW + 300, 2.0, "b")
        self.assertEqual(AddResult.TAKEN, self.add(cells, NOW + 300, 3.0, "c"))
        self.assertEqual({"b", "c"}, set(cells.last()))
        matrix = cells.matrix(NOW + 300, 60.0, ["c"])
        np.testing.assert_array_equal([[3.0]], matrix.values)

    def test_columns_of_several_cells(self) -> None:
        cells = ring(width=10)
        for i in range(10):
            self.add(cells, NOW + 60 * i, float(i))
        matrix = cells.matrix(NOW + 540, 120.0)
        np.testing.assert_allclose([[0.5, 2.5, 4.5, 6.5, 8.5]], matrix.values)
        self.assertEqual(120.0, matrix.step)

    def test_nothing_at_all(self) -> None:
        matrix = ring().matrix(NOW, 60.0)
        self.assertEqual((), matrix.hosts)
        self.assertEqual(0.0, ring().newest_at())

    @given(
        st.lists(
            st.tuples(st.integers(0, 40), st.sampled_from("abc"), st.floats(0, 100)), max_size=60
        )
    )
    def test_the_matrix_is_the_mean_of_what_was_taken(
        self, samples: list[tuple[int, str, float]]
    ) -> None:
        cells, newest = ring(width=8), -1
        taken: dict[tuple[str, int], list[float]] = {}
        for number, (cell, name, value) in enumerate(samples):
            at = cell * 60.0
            added = cells.add(name, at, value, float(number))
            newest = max(newest, cell) if added is AddResult.TAKEN else newest
            if added is AddResult.TAKEN:
                taken.setdefault((name, cell), []).append(value)
            else:
                self.assertLessEqual(cell, newest - 8)
        matrix = cells.matrix(max(newest, 0) * 60.0, 60.0)
        first = max(newest, 0) - matrix.values.shape[1] + 1
        for row, name in enumerate(matrix.hosts):
            for column in range(matrix.values.shape[1]):
                expected = taken.get((name, first + column))
                found = matrix.values[row, column]
                if expected is None:
                    self.assertTrue(math.isnan(found))
                else:
                    self.assertAlmostEqual(sum(expected) / len(expected), found, places=3)


class Restart(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "deep" / "history.npz"

    def saved(self, width: int = 10) -> Ring:
        cells = ring(width)
        for i in range(width):
            for name in "ab":
                cells.add(name, NOW + 60 * i, float(i), NOW + 60 * i)
        history.save(self.path, cells.to_arrays("host:cpu"))
        return cells

    def read(self, into: Ring) -> list[str]:
        self.assertEqual(["host:cpu"], history.ring_names(self.path))
        return history.read(self.path, {"host:cpu": into})

    def test_it_is_the_same_afterwards(self) -> None:
        before, after = self.saved(), ring()
        self.assertEqual([], self.read(after))
        expected = before.matrix(NOW + 540, 60.0)
        found = after.matrix(NOW + 540, 60.0)
        self.assertEqual(expected.hosts, found.hosts)
        np.testing.assert_array_equal(expected.values, found.values)
        self.assertEqual(before.last(), after.last())
        self.assertEqual(AddResult.DUPLICATE, after.add("a", NOW + 540, 1.0, NOW + 540))
        self.assertEqual(AddResult.TAKEN, after.add("new", NOW + 540, 1.0, NOW + 540))

    def test_into_a_shorter_and_a_longer_one(self) -> None:
        self.saved()
        for width in (4, 30):
            after = ring(width)
            self.assertEqual([], self.read(after))
            row = after.matrix(NOW + 540, 60.0).values[0]
            np.testing.assert_array_equal(np.arange(10.0)[-min(width, 10) :], row)

    def test_other_cells_are_refused_in_one_sentence(self) -> None:
        self.saved()
        [problem] = self.read(Ring(resolution=30.0, width=5, max_rows=5))
        self.assertIn("60.0 s, now 30.0 s", problem)

    def test_a_damaged_file_is_renamed(self) -> None:
        self.saved()
        whole = self.path.read_bytes()
        for damaged in (b"", b"nonsense", whole[: len(whole) // 2]):
            self.path.write_bytes(damaged)
            after = ring()
            [problem] = history.read(self.path, {"host:cpu": after})
            self.assertIn("was renamed to", problem)
            self.assertEqual(0, len(after))
            self.assertFalse(self.path.exists())
            self.assertEqual([], history.read(self.path, {"host:cpu": after}))

"""Pages that were written to just before a pause: excused on one side, counted on the other."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis import late
from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.figures import figures
from tools.measurement.analysis.outcome import Request
from tools.measurement.analysis.rewritten import FETCH_MOST, Rewritten, fetch_time

GAP = Blackout(5.0, 8.0)
ITEM = {"path": "/item/1"}
FETCH = 0.03  # seconds that the guest takes for a read in these runs
STEADY = [makers.read(n / 10, FETCH, path="/page/9") for n in range(1, 40)]


def excused(write: Request, *more: Request, read: float = 6.0) -> bool:
    """Whether a read of the item that waits for the end of the blackout is excused."""
    asked = makers.read(read, 8.1 - read, **ITEM)
    return Rewritten([*STEADY, write, asked, *more], [GAP], 0.02).excuses(asked)


class FetchTimeTest(unittest.TestCase):
    def test_what_the_guest_takes_before_the_pause(self) -> None:
        hits = [makers.read(n / 10, 0.5, hit=True) for n in range(1, 40)]
        later = [makers.read(4.9, 2.0), makers.write(1.0, 0.8)]
        self.assertAlmostEqual(FETCH, fetch_time([*STEADY, *hits, *later], 5.0))

    def test_is_bounded(self) -> None:
        self.assertEqual(FETCH_MOST, fetch_time([makers.read(1, 0.7)], 5.0))

    def test_nothing_is_excused_without_evidence(self) -> None:
        self.assertEqual(0, fetch_time([], 5.0))


class RewrittenTest(unittest.TestCase):
    def test_written_two_milliseconds_before_the_pause(self) -> None:
        self.assertTrue(excused(makers.write(4.993, 0.005)))

    def test_written_two_seconds_before_the_pause(self) -> None:
        self.assertFalse(excused(makers.write(2.995, 0.005)))

    def test_there_was_time_to_fetch_it(self) -> None:
        # the guest may have been paused at 4.98, a probe interval before the blackout begins
        self.assertTrue(excused(makers.write(4.93, 0.021)))
        self.assertFalse(excused(makers.write(4.93, 0.019)))

    def test_a_client_could_read_it_before_the_pause(self) -> None:
        write = makers.write(4.96, 0.005)
        self.assertTrue(excused(write))
        self.assertFalse(excused(write, makers.read(4.97, 0.01, **ITEM)))
        self.assertFalse(excused(write, makers.read(4.97, 0.01, hit=True, **ITEM)))

    def test_a_read_that_proves_nothing(self) -> None:
        write = makers.write(4.96, 0.005)
        self.assertTrue(excused(write, makers.read(4.97, 0.01, failed=True, **ITEM)))
        self.assertTrue(excused(write, makers.read(4.97, 0.01, path="/item/2")))
        self.assertTrue(excused(write, makers.read(4.95, 0.01, **ITEM)))

    def test_only_the_last_write_before_the_read_counts(self) -> None:
        early = makers.write(2.0)
        self.assertTrue(excused(makers.write(4.99), early))
        self.assertFalse(excused(early, makers.write(8.2)))

    def test_a_read_after_the_blackout_is_not_excused(self) -> None:
        write, asked = makers.write(4.99), makers.read(8.0, 0.5, **ITEM)
        self.assertFalse(Rewritten([*STEADY, write, asked], [GAP], 0.02).excuses(asked))

    @given(
        st.floats(0.0, 7.9),
        st.floats(0.0, 7.9),
        st.floats(0.0, 0.15),
        st.one_of(st.none(), st.floats(0.0, 7.9)),
    )
    def test_no_more_is_excused_than_the_definition_allows(
        self, written: float, asked: float, fetch: float, seen: float | None
    ) -> None:
        read = makers.read(asked, 8.05 - asked, **ITEM)
        steady = [makers.read(n / 10, fetch, path="/page/9") for n in range(1, 40)]
        requests = [*steady, makers.write(written, 0.0), read]
        if seen is not None:
            requests.append(makers.read(seen, 0.0, **ITEM))
        gone = Rewritten(requests, [GAP], 0.02).excuses(read)
        since = GAP.start - 0.02 - min(fetch, FETCH_MOST)
        known = seen is not None and written < seen <= GAP.start
        if gone:
            self.assertGreaterEqual(written, since - 1e-9)
            self.assertLessEqual(written, asked)
            self.assertFalse(known)
        elif since + 1e-9 < written <= asked:
            self.assertTrue(known)


class FiguresTest(unittest.TestCase):
    def measure(self, *requests: Request) -> dict[str, object]:
        paths = frozenset({"/page/1", "/item/1"})
        return figures(makers.run([*STEADY, *requests], (5.0, 8.0)), paths)

    def test_what_is_excused_is_a_figure_of_its_own(self) -> None:
        read = makers.read(6.0, 2.1, **ITEM)
        found = self.measure(makers.write(4.99, 0.005), read)
        self.assertEqual((0, 2.1), (found["late_cacheable_s"], found["late_rewritten_s"]))
        self.assertEqual(1, found["rewritten_requests"])
        found = self.measure(makers.write(2.0), read)
        self.assertEqual((2.1, 0), (found["late_cacheable_s"], found["late_rewritten_s"]))

    @given(st.lists(st.tuples(st.floats(4.5, 8.0), st.floats(0, 3), st.booleans()), max_size=9))
    def test_nothing_late_is_left_out_of_both(self, waits: list[tuple[float, float, bool]]) -> None:
        reads = [makers.read(at, wait, **(ITEM if item else {})) for at, wait, item in waits]
        found = self.measure(makers.write(4.97), *reads)
        everything = late.cacheable([makers.write(4.97), *reads], frozenset({"/page/1", "/item/1"}))
        whole = late.length(late.late_intervals(everything))
        counted, excused = found["late_cacheable_s"], found["late_rewritten_s"]
        assert isinstance(counted, float | int) and isinstance(excused, float | int)
        self.assertGreaterEqual(counted + excused, whole - 0.002)
        self.assertLessEqual(max(counted, excused), whole + 0.002)

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.tools.analysis import makers
from tools.measurement.analysis import late

INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(1, 20)).map(lambda p: (p[0], p[0] + p[1]))
)


class CacheableTest(unittest.TestCase):
    def test_a_response_in_any_run_allows_or_forbids(self) -> None:
        control = makers.run([makers.read(1, path="/a"), makers.read(1, path="/b")])
        other = makers.run(
            [makers.read(1, path="/b", storable=False), makers.read(1, path="/c", status=0)]
        )
        self.assertEqual({"/a"}, late.cacheable_paths([control, other]))

    def test_a_pending_write_to_the_path_excuses(self) -> None:
        path = {"path": "/item/1"}
        requests = [
            makers.write(1.0, 2.0),
            makers.read(0.9, 0.05, **path),  # the response came before it was sent
            makers.read(2.0, 1.5, **path),
            makers.read(0.5, 1.0, **path),  # was waiting when it was sent
            makers.read(3.1, 1.0, **path),  # after it
            makers.read(2.0, 1.0, path="/item/2"),
        ]
        kept = late.cacheable(requests, frozenset({"/item/1", "/item/2"}))
        self.assertEqual([0.9, 3.1, 2.0], [request.scheduled for request in kept])

    def test_a_write_with_a_202_is_pending_until_it_is_applied(self) -> None:
        requests = [makers.write(1.0, applied=4.0), makers.read(3.0, 2.0, path="/item/1")]
        self.assertEqual([], late.cacheable(requests, frozenset({"/item/1"})))

    def test_the_clients_own_pending_write_excuses(self) -> None:
        requests = [makers.write(1.0, 2.0, client=7), makers.read(2.0, client=7)]
        self.assertEqual([], late.cacheable(requests, frozenset({"/page/1"})))


class LateTest(unittest.TestCase):
    def test_waits_overlap_and_short_ones_do_not_count(self) -> None:
        waits = [makers.read(1, 1.0), makers.read(1.5, 1.0), makers.read(5, 0.1), makers.read(7, 2)]
        found = late.late_intervals(waits)
        self.assertEqual([(1, 2.5), (7, 9)], found)
        self.assertEqual(3.5, late.length(found))
        self.assertEqual([(2, 2.5), (7, 8)], late.within(found, 2, 8))

    def test_the_limit_grows_with_the_machines_slowdown(self) -> None:
        waits = [makers.read(1, 0.15), makers.read(3, 0.15), makers.read(5, 0.25)]
        found = late.late_intervals(
            waits, lambda start, end: 2.0 if start < 2 or start > 4 else 1.0
        )
        self.assertEqual([(3, 3.15), (5, 5.25)], found)

    @given(INTERVALS)
    def test_union_covers_the_same_instants(self, intervals: list[tuple[int, int]]) -> None:
        merged = late.union([(float(a), float(b)) for a, b in intervals])
        covered = {second for a, b in intervals for second in range(a, b)}
        self.assertEqual(len(covered), late.length(merged))
        self.assertEqual(merged, late.union(merged))

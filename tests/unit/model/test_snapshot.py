"""The snapshot: compact on the wire, and refused if any part of it is malformed."""

from __future__ import annotations

import json
import math
import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.snapshot import HostLoad, Snapshot, SnapshotError
from nova_cachemig.rpc.bus import check_primitive

LEVELS = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


def snapshot(hosts: int = 3, instances: int = 2) -> Snapshot:
    return Snapshot(
        run="abc",
        sequence=7,
        made_at=1_772_366_400.25,
        horizon=3600.0,
        metric="cpu",
        method="default",
        levels=LEVELS,
        hosts={
            f"compute-{i:04d}.example.org": HostLoad(
                i % 90 + 0.123, tuple(i % 90 + 1.5 * j for j in range(8))
            )
            for i in range(hosts)
        },
        instances={f"8d6b1f6e-0000-4000-8000-{i:012d}": i % 100 + 0.1 for i in range(instances)},
    )


class Wire(unittest.TestCase):
    def test_a_round_trip_is_exact_to_a_hundredth(self) -> None:
        sent = snapshot()
        wire = sent.to_wire()
        check_primitive(wire)
        got = Snapshot.from_wire(json.loads(json.dumps(wire)))
        self.assertEqual(set(sent.hosts), set(got.hosts))
        for name, load in sent.hosts.items():
            self.assertAlmostEqual(load.mean, got.hosts[name].mean, delta=0.01)
            for a, b in zip(load.peak, got.hosts[name].peak, strict=True):
                self.assertAlmostEqual(a, b, delta=0.01)
        self.assertEqual(sent.instances, got.instances)
        self.assertEqual(
            (sent.run, sent.sequence, sent.made_at), (got.run, got.sequence, got.made_at)
        )

    def test_a_thousand_hosts_are_compact(self) -> None:
        self.assertLess(len(json.dumps(snapshot(1000, 0).to_wire())), 100_000)
        self.assertLess(len(json.dumps(snapshot(1000, 10_000).to_wire())), 550_000)

    def test_the_empty_snapshot(self) -> None:
        self.assertEqual(Snapshot.empty(), Snapshot.from_wire(Snapshot.empty().to_wire()))

    def test_rounding_below_zero_is_zero(self) -> None:
        wire = snapshot().to_wire() | {"instances": {"i": -2.2e-14}}
        self.assertEqual({"i": 0.0}, Snapshot.from_wire(wire).instances)

    def test_malformed_data_is_refused(self) -> None:
        good = snapshot().to_wire()
        for change in (
            {"version": 2},
            {"version": None},
            {"version": "1"},
            {"names": ["a"]},
            {"mean": [1, 2, -3]},
            {"mean": [1, 2, math.nan]},
            {"mean": [1, 2, 10**400]},
            {"mean": [1, 2, "3"]},
            {"mean": [1, 2, True]},
            {"mean": None},
            {"peak": good["peak"][:-1]},
            {"peak": good["peak"][::-1]},
            {"levels": [0.5] * 8},
            {"levels": [0.0, *LEVELS[1:]]},
            {"unit": math.inf},
            {"made_at": None},
            {"sequence": math.nan},
            {"instances": []},
            {"instances": {"i": math.nan}},
        ):
            with self.subTest(change=change), self.assertRaises(SnapshotError):
                Snapshot.from_wire(good | change)
        for wire in (None, [], "x", 7, {}):
            with self.subTest(wire=wire), self.assertRaises(SnapshotError):
                Snapshot.from_wire(wire)  # type: ignore[arg-type]

    def test_load_beyond_floats_is_refused(self) -> None:
        with self.assertRaisesRegex(SnapshotError, "not a finite"):
            Snapshot.from_wire(snapshot().to_wire() | {"unit": 1e308})

    @given(
        st.dictionaries(
            st.sampled_from(sorted(snapshot().to_wire())),
            st.none() | st.integers() | st.floats() | st.lists(st.integers(), max_size=3),
            max_size=3,
        )
    )
    def test_damage_raises_no_other_error(self, change: dict[str, Any]) -> None:
        try:
            read = Snapshot.from_wire(snapshot().to_wire() | change)
        except SnapshotError:
            return
        # Not equal: the wire's integers lose small loads beside great ones.
        again = Snapshot.from_wire(read.to_wire())
        self.assertEqual((read.made_at, read.levels), (again.made_at, again.levels))
        self.assertEqual(read.hosts.keys(), again.hosts.keys())

from __future__ import annotations

import dataclasses
import unittest
from typing import Any

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.claims import claims
from tools.measurement.analysis.figures import figures
from tools.measurement.analysis.outcome import Request

PATHS = frozenset({"/page/1"})


def steady() -> list[Request]:
    return [makers.read(n / 120, 0.002) for n in range(1200) if not 240 <= n < 370]


def control() -> dict[str, Any]:
    return figures(makers.run([*steady(), makers.read(2.1, 2.0)], (2.0, 3.05)), PATHS)


def protected(**more: Any) -> dict[str, Any]:
    met = [makers.read(2.1, 0.004, hit=True), makers.write(2.2, 0.9)]
    run = makers.run([*steady(), *met], (2.0, 3.05), protected=True)
    return figures(run, PATHS) | more


class ClaimsTest(unittest.TestCase):
    def test_all_hold(self) -> None:
        found = claims([control(), protected()])
        self.assertEqual([], [claim for claim in found if not claim.ok])
        self.assertEqual(12, len(found))

    def test_each_can_fail(self) -> None:
        broken = {
            "failed": 1,
            "writes_lost": 1,
            "writes_doubled": 1,
            "writes_reordered": 1,
            "stale_reads_after_write": 1,
            "rate_per_s": 90.0,
            "hit_p99_ms": 50.0,
            "held_overrun_p99_ms": 150.1,
            "inflight_read_overrun_max_ms": 301.0,
            "inflight_write_overrun_max_ms": 1380.0,
            "late_cacheable_s": 0.021,
        }
        for key, value in broken.items():
            with self.subTest(key):
                failed = [c for c in claims([control(), protected(**{key: value})]) if not c.ok]
                self.assertEqual([value], [claim.measured for claim in failed])

    def test_nothing_measured_shows_nothing(self) -> None:
        for key in ("hit_p99_ms", "held_overrun_p99_ms", "writes_lost"):
            with self.subTest(key):
                found = claims([control(), protected(**{key: None})])
                self.assertEqual(1, sum(not claim.ok for claim in found))

    def test_none_in_flight_is_no_failure(self) -> None:
        found = claims([control(), protected(inflight_read_overrun_max_ms=None)])
        self.assertTrue(all(claim.ok for claim in found))

    def test_a_control_with_too_short_a_blackout_fails(self) -> None:
        failed = [c for c in claims([control() | {"blackout_s": 0.9}, protected()]) if not c.ok]
        self.assertEqual(["blackout of the control"], [claim.name for claim in failed])

    def test_a_case_without_seconds_in_its_name_asks_for_none(self) -> None:
        pair = [control() | {"case": "postcopy"}, protected(case="postcopy")]
        self.assertNotIn("blackout of the control", [claim.name for claim in claims(pair)])

    def test_a_control_alone_claims_nothing(self) -> None:
        self.assertEqual([], claims([control()]))

    def test_primitives_go_on_the_wire(self) -> None:
        claim = claims([control(), protected()])[0]
        self.assertEqual(dataclasses.asdict(claim), claim.to_wire())


class SlownessTest(unittest.TestCase):
    def missed(self, **more: Any) -> list[tuple[str, bool]]:
        found = claims([control(), protected(**more)])
        return [(claim.name, claim.busy) for claim in found if not claim.ok]

    def test_a_delay_outside_the_migration_is_not_ours(self) -> None:
        waited = {"late_cacheable_s": 1.05, "late_cacheable_during_migration_s": 1.05}
        for inside, ok in ((0.01, True), (0.011, False)):
            late = {"late_cacheable_s": 0.2, "late_cacheable_during_migration_s": inside}
            found = claims([control() | waited, protected(**late)])
            self.assertEqual(ok, all(claim.ok for claim in found))

    def test_held_requests_have_the_time_in_which_the_control_stalls(self) -> None:
        stalling = control() | {"stall_ms": 90.0}
        for held, ok in ((239.0, True), (241.0, False)):
            found = claims([stalling, protected(held_overrun_p99_ms=held, stall_ms=500.0)])
            self.assertEqual(ok, all(claim.ok for claim in found))

    def test_held_requests_have_as_much_more_time_as_the_machine_takes(self) -> None:
        self.assertEqual([], self.missed(held_overrun_p99_ms=224.0, machine_slowdown=1.5))
        self.assertEqual(
            [("held requests past the end of the blackout, p99", False)],
            self.missed(held_overrun_p99_ms=226.0, machine_slowdown=1.5),
        )

    def test_other_bars_stay(self) -> None:
        self.assertEqual(1, len(self.missed(hit_p99_ms=51.0, machine_slowdown=1.9)))

    def test_a_machine_too_slow_to_judge(self) -> None:
        self.assertEqual([], self.missed(machine_slowdown=7.0))
        for key, value in (("held_overrun_p99_ms", 301.0), ("hit_p99_ms", 51.0),
                           ("late_cacheable_s", 0.5)):  # fmt: skip
            with self.subTest(key):
                missed = self.missed(machine_slowdown=2.1, **{key: value})
                self.assertEqual([True], [busy for _, busy in missed])

    def test_a_machine_too_slow_in_the_whole_run(self) -> None:
        missed = self.missed(machine_slowdown_run=2.1, hit_p99_ms=51.0)
        self.assertEqual([True], [busy for _, busy in missed])

    def test_safety_is_never_excused(self) -> None:
        self.assertEqual([("writes lost", False)], self.missed(writes_lost=1, machine_slowdown=9.0))


class DrainTest(unittest.TestCase):
    GOOD = {
        "depth_max": 12_000,
        "drained_s": 6.5,
        "writes_during_drain": 900,
        "writes_accepted_unresolved": 0,
    }

    def failed(self, **more: object) -> int:
        measured = protected(case="drain-10k", **self.GOOD) | more
        return sum(not claim.ok for claim in claims([control() | {"case": "drain-10k"}, measured]))

    def test_all_hold(self) -> None:
        self.assertEqual(0, self.failed())

    def test_each_can_fail(self) -> None:
        bad = {
            "depth_max": 9_999,
            "drained_s": None,
            "writes_during_drain": 0,
            "writes_accepted_unresolved": 1,
        }
        for name, value in bad.items():
            self.assertEqual(1, self.failed(**{name: value}), name)

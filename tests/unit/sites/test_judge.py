import unittest

from tests.sites.judge import faults, figures
from tests.sites.record import Exchange, Log, Silence


def exchange(start: float, took: float, **fields: object) -> Exchange:
    values = {"user": "a", "source": "load", "kind": "page", "method": "GET", "url": "/"}
    return Exchange(**{**values, "start": start, "end": start + took, "status": 200, **fields})


def log(*exchanges: Exchange) -> Log:
    return Log(exchanges=list(exchanges), silences=[Silence(10.0, 13.0)])


class Figures(unittest.TestCase):
    def figures(self, found: Log, **applied: int) -> dict[str, object]:
        return figures(found, lambda marker: applied.get(marker, 1), ("/none",))

    def test_counts_only_requests_of_the_silence(self) -> None:
        row = self.figures(
            log(
                exchange(9.9, 0.05),
                exchange(10.5, 0.05),
                exchange(11.0, 2.5),
                exchange(11.0, 0.02, url="/none", status=404),
                exchange(13.0, 0.05),
            )
        )
        self.assertEqual(3, row["silent_requests"])
        self.assertEqual(66.7, row["prompt_percent"])
        self.assertEqual((1, 0.5, 0), (row["held"], row["held_p99"], row["failed"]))

    def test_the_cache_counts_at_any_speed_but_only_in_the_silence(self) -> None:
        hit = "cachemig; hit; ttl=0"
        row = self.figures(
            log(
                exchange(11.0, 0.05, cache=hit),
                exchange(11.0, 0.9, cache=hit),
                exchange(11.0, 2.1, cache=hit),
                exchange(11.0, 0.05),
            )
        )
        self.assertEqual((50.0, 50.0), (row["cached_percent"], row["prompt_percent"]))

    def test_an_error_is_neither_prompt_nor_held(self) -> None:
        row = self.figures(log(exchange(11.0, 0.01, status=503), exchange(11.0, 0.01, status=0)))
        self.assertEqual((0.0, 0, 2), (row["prompt_percent"], row["held"], row["failed"]))

    def test_a_response_that_never_ends_has_failed(self) -> None:
        row = self.figures(log(exchange(11.0, -11.0, status=0), exchange(11.0, 1.0, cut=True)))
        self.assertEqual((1, 1), (row["failed"], row["cut"]))

    def test_a_request_that_the_user_gave_up_has_not_failed(self) -> None:
        row = self.figures(log(exchange(11.0, 1.0, status=0, abandoned=True)))
        self.assertEqual((0, 0.0), (row["failed"], row["prompt_percent"]))

    def test_writes_are_applied_once(self) -> None:
        found = log()
        markers = [found.new_write("a", "/").marker for _ in range(3)]
        found.writes[0].acknowledged = True
        row = self.figures(found, **dict(zip(markers, (0, 0, 2), strict=True)))
        self.assertEqual((1, 1), (row["lost"], row["doubled"]))


class Faults(unittest.TestCase):
    def row(self, mode: str, **fields: object) -> dict[str, object]:
        row = figures(log(exchange(11.0, 0.01)), lambda marker: 1)
        return {**row, "mode": mode, **fields}

    def test_the_bar_depends_on_the_mode(self) -> None:
        self.assertEqual([], faults(self.row("safe", prompt_percent=60.0), None))
        self.assertEqual(1, len(faults(self.row("consent", prompt_percent=60.0), None)))

    def test_what_also_fails_without_us_is_no_fault(self) -> None:
        row = self.row("safe", failed=2, broken=1)
        self.assertEqual(2, len(faults(row, self.row("without", failed=1))))
        self.assertEqual([], faults(row, self.row("without", failed=2, broken=1)))

    def test_each_of_the_others_is_a_fault(self) -> None:
        for name in ("lost", "doubled", "foreign", "old", "cut"):
            with self.subTest(name):
                self.assertEqual([f"1 {name}"], faults(self.row("safe", **{name: 1}), None))

    def test_a_control_with_a_fault_is_one_of_the_harness(self) -> None:
        self.assertIn("harness", faults(self.row("without", old=1), None)[0])

    def test_requests_are_not_held_longer_than_without_us(self) -> None:
        control = self.row("without", held_p99=0.5)
        self.assertEqual([], faults(self.row("safe", held_p99=1.9), control))
        self.assertEqual(1, len(faults(self.row("safe", held_p99=3.0), control)))

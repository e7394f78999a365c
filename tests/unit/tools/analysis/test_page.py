from __future__ import annotations

import html.parser
import random
import re
import unittest

from tests.unit.tools.analysis import makers
from tools.measurement.analysis.outcome import Run
from tools.measurement.analysis.page import page
from tools.measurement.analysis.result import in_order, result


class _Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.links: list[str] = []
        self.charts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.charts += tag == "svg"
        self.links += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, tag


def written(runs: list[Run]) -> str:
    ordered = in_order(runs)
    return page(ordered, result(ordered, generated_at="now", environment={"cores": 2}))


class PageTest(unittest.TestCase):
    def test_is_whole_and_needs_nothing_else(self) -> None:
        requests = [makers.read(2.1, 0.004, hit=True), makers.write(2.2, 0.9)]
        story = [(1.0, "Warming <b>now</b>.")]
        text = written(
            [
                makers.run([makers.read(2.1, 2.0)], (2.0, 3.05)),
                makers.run(requests, (2.0, 3.05), protected=True, story=story),
            ]
        )
        tags = _Tags()
        tags.feed(text)
        self.assertEqual([], tags.open)
        self.assertEqual([], tags.links)
        self.assertIsNone(re.search(r"https?://|@import|url\(", text))
        self.assertEqual(4, tags.charts)
        self.assertIn("Warming &lt;b&gt;now&lt;/b&gt;.", text)
        self.assertEqual(4, text.count("writes waiting</text>"))

    def test_a_drain_is_shown_until_its_end(self) -> None:
        queued = [makers.write(2.1 + n / 100, 0.01, status=202, applied=6.0) for n in range(50)]
        text = written([makers.run(queued, (2.0, 3.0), protected=True)])
        self.assertIn("drained +4 s", text)

    def test_failed_claims_are_named_at_the_top(self) -> None:
        text = written([makers.run(), makers.run(protected=True, requests=[])])
        self.assertIn("claims do not hold", text)
        self.assertIn("precopy-1s: hits during the blackout, p99", text)

    def test_a_single_run_without_blackout(self) -> None:
        run = makers.run([makers.read(1)], probes=[], probe_interval=None)
        self.assertIn("never silent", written([run]))

    def test_many_requests_stay_small(self) -> None:
        rng = random.Random(1)
        requests = [makers.read(n / 500, rng.expovariate(50)) for n in range(30_000)]
        runs = [
            makers.run(requests, (20, 25), protected=protected, duration=60.0, case=case)
            for protected in (False, True)
            for case in ("a", "b", "c")
        ]
        self.assertLess(len(written(runs).encode()), 3_000_000)

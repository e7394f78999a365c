"""The declarations follow Prometheus's rules, and the operator's guide has just these metrics."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

from nova_cachemig.metrics.declared import AGENT, FORECASTER, Kind, Metric

ALL = tuple(dict.fromkeys((*AGENT, *FORECASTER)))
PAGE = Path(__file__).parents[3] / "doc/source/operator/metrics.rst"


def row(metric: Metric) -> str:
    """Return the row of the page's table."""
    labels = ", ".join(f"``{label}``" for label in metric.labels) or "none"
    return (
        f"   * - ``{metric.name}``\n     - {metric.kind}\n     - {labels}\n     - {metric.help}\n"
    )


class DeclaredTest(unittest.TestCase):
    def test_names(self) -> None:
        names = [metric.name for metric in ALL]
        self.assertEqual(len(names), len(set(names)))
        for metric in ALL:
            with self.subTest(metric.name):
                self.assertRegex(metric.name, r"^nova_cachemig_[a-z_]+$")
                self.assertEqual(metric.kind is Kind.COUNTER, metric.name.endswith("_total"))
                self.assertFalse(metric.name.endswith(("_bucket", "_count", "_sum")))

    def test_no_label_is_without_bound(self) -> None:
        labels = {label for metric in ALL for label in metric.labels}
        self.assertEqual(set(), labels & {"service", "instance", "client", "url", "guest"})
        for metric in ALL:
            self.assertTrue(all(label in metric.help for label in metric.labels[:1]), metric.name)

    def test_the_page_has_each_metric_and_no_other(self) -> None:
        page = PAGE.read_text()
        for metric in ALL:
            with self.subTest(metric.name):
                self.assertIn(row(metric), page)
        found = set(re.findall(r"^   \* - ``(nova_cachemig_[a-z_]+)``$", page, re.MULTILINE))
        self.assertEqual({metric.name for metric in ALL}, found)

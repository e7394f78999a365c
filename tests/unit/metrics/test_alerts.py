"""The alerts and the board: Prometheus accepts them, their metrics exist, each alert fires."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from nova_cachemig.metrics.declared import AGENT, FORECASTER, Kind, Metric

ETC = Path(__file__).parents[3] / "etc"
RULES = ETC / "prometheus/nova-cachemig.rules.yml"
BOARD = ETC / "grafana/nova-cachemig.json"
ADDED = {"instance", "job", "le"}
"""Labels that Prometheus adds."""
OTHERS = {"up", "process_resident_memory_bytes"}

AGENT_OF = 'job="nova-cachemig-agent",instance="c1:9106"'
BROKEN = {
    # alert: (series without the prefix, labels, values, minutes until it fires)
    "CachemigDown": ("up", "", "0x20", 3),
    "CachemigAgentHangs": ("agent_responds", "", "0x20", 2),
    "CachemigNotListening": ("bus_listening", "", "0x20", 6),
    "CachemigUsersWait": ("handovers", 'phase="shielded"', "1x30", 16),
    "CachemigLongWaits": ("held_seconds_bucket", "", "", 15),
    "CachemigRefusesRequests": ("refused_requests_total", 'cause="hold"', "0+5x20", 10),
    "CachemigRefusesWrites": ("writes_total", 'outcome="unknown"', "0+1x20", 5),
    "CachemigWritesInDoubt": ("writes_total", 'outcome="in_doubt"', "0 0 1x70", 10),
    "CachemigFailsOpen": ("fail_opens_total", 'cause="journal"', "0 0 1x70", 10),
    "CachemigHandoversAbandoned": (
        "handovers_ended_total", 'outcome="abandoned"', "0 0 1x70", 10),
    "CachemigEngineRestarts": ("engine_restarts_total", 'engine="haproxy"', "0 0 1x20", 5),
    "CachemigReloadFails": ("engine_reloads_total", 'result="failed"', "0 0 1x20", 5),
    "CachemigServiceFiles": ("service_file_errors", "", "2x20", 11),
    "CachemigGuestsUnreachable": ("services", 'state="unreachable"', "3x70", 61),
    "CachemigSlow": ("loop_lag_seconds_bucket", "", "", 16),
    "CachemigSlowCommits": ("journal_commit_seconds_total", "", "0+6x20", 11),
    "CachemigTelemetryStale": ("newest_sample_age_seconds", "", "1000x20", 6),
    "CachemigForecastStale": ("forecast_age_seconds", "", "700x20", 6),
    "CachemigForecastPoor": ("forecast_error", 'of="forecast"', "9x1500", 1441),
}  # fmt: skip
BESIDE = {
    "CachemigLongWaits": [
        ("held_seconds_bucket", 'le="5.0"', "0+1x20"),
        ("held_seconds_bucket", 'le="10.0"', "0+9x20"),
        ("held_seconds_bucket", 'le="+Inf"', "0+9x20"),
    ],
    "CachemigSlow": [
        ("loop_lag_seconds_bucket", 'le="0.25"', "0+1x20"),
        ("loop_lag_seconds_bucket", 'le="0.5"', "0+99x20"),
        ("loop_lag_seconds_bucket", 'le="+Inf"', "0+99x20"),
    ],
    "CachemigSlowCommits": [("journal_commits_total", "", "0+10x20")],
    "CachemigForecastPoor": [("forecast_error", 'of="last_value"', "3x1500")],
}
"""Further series of the test of an alert; those with buckets have no other series."""
HEALTHY = [
    ("up", "", "1x90"),
    ("agent_responds", "", "1x90"),
    ("bus_listening", "", "1x90"),
    ("handovers", 'phase="shielded"', "1x5 0x85"),
    ("held_seconds_bucket", 'le="5.0"', "0+9x90"),
    ("held_seconds_bucket", 'le="+Inf"', "0+9x90"),
    ("refused_requests_total", 'cause="guest"', "0x50 1x40"),
    ("writes_total", 'outcome="in_doubt"', "7x90"),
    ("writes_total", 'outcome="accepted"', "0+9x90"),
    ("fail_opens_total", 'cause="journal"', "0x90"),
    ("handovers_ended_total", 'outcome="completed"', "0+1x90"),
    ("engine_restarts_total", 'engine="haproxy"', "2x90"),
    ("engine_reloads_total", 'result="done"', "0+1x90"),
    ("service_file_errors", "", "0x90"),
    ("services", 'state="unreachable"', "0x90"),
    ("services", 'state="reachable"', "9x90"),
    ("loop_lag_seconds_bucket", 'le="0.25"', "0+9x90"),
    ("loop_lag_seconds_bucket", 'le="+Inf"', "0+9x90"),
    ("journal_commit_seconds_total", "", "0x90"),
    ("journal_commits_total", "", "0x90"),
    ("newest_sample_age_seconds", "", "60x90"),
    ("forecast_age_seconds", "", "60x90"),
    ("forecast_error", 'of="forecast"', "3x90"),
    ("forecast_error", 'of="last_value"', "4x90"),
]


def names(metric: Metric) -> set[str]:
    """Return the names of a metric's series."""
    if metric.kind is not Kind.HISTOGRAM:
        return {metric.name}
    return {f"{metric.name}_{part}" for part in ("bucket", "count", "sum")}


KNOWN = {name: metric for metric in (*AGENT, *FORECASTER) for name in names(metric)}


def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    return [one for one in json.loads(BOARD.read_text())["panels"] if one["type"] != "row"]


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in rules())
    for panel in panels():
        yield from (target["expr"] for target in panel["targets"])


def promtool(*words: str) -> str:
    done = subprocess.run(
        ["promtool", *words], capture_output=True, text=True, timeout=120, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def series(name: str, labels: str, values: str) -> dict[str, str]:
    prefix = "" if name in OTHERS else "nova_cachemig_"
    inner = ",".join(filter(None, (AGENT_OF, labels)))
    return {"series": f"{prefix}{name}{{{inner}}}", "values": values}


class MetricsExist(unittest.TestCase):
    def test_each_metric_and_label_is_declared(self) -> None:
        for text in expressions():
            found = re.findall(r"\b(nova_cachemig_\w+|process_\w+|up)\b(?:\{([^}]*)\})?", text)
            self.assertTrue(found, text)
            for name, matchers in found:
                if name in OTHERS:
                    continue
                with self.subTest(name, text=text):
                    self.assertIn(name, KNOWN)
                    labels = set(re.findall(r"(\w+)\s*=", matchers))
                    self.assertLessEqual(labels - ADDED, set(KNOWN[name].labels))
            grouped = re.findall(r"(?:by|ignoring) \(([^)]*)\)", text)
            used = {label.strip() for group in grouped for label in group.split(",")}
            declared = {x for name, _ in found if name in KNOWN for x in KNOWN[name].labels}
            self.assertLessEqual(used - ADDED, declared, text)

    def test_the_board_shows_each_metric(self) -> None:
        shown = " ".join(t["expr"] for panel in panels() for t in panel["targets"])
        for metric in {*AGENT, *FORECASTER}:
            if metric.name != "nova_cachemig_build_info":
                self.assertIn(metric.name, shown)


class Board(unittest.TestCase):
    def test_no_panel_covers_another_one(self) -> None:
        every = json.loads(BOARD.read_text())["panels"]
        self.assertEqual(len(every), len({panel["id"] for panel in every}))
        cells = [
            (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
            for panel in every
            for x in range(panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["h"])
        ]
        self.assertEqual(len(cells), len(set(cells)))
        self.assertLess(max(x for x, _ in cells), 24)

    def test_prometheus_can_read_its_expressions(self) -> None:
        made = [
            {"record": f"board:{n}", "expr": text.replace("$__rate_interval", "5m")}
            for n, text in enumerate(expressions())
        ]
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump({"groups": [{"name": "board", "rules": made}]}, file)
            file.flush()
            self.assertEqual("", promtool("check", "rules", file.name))


class Package(unittest.TestCase):
    def test_it_installs_both_files(self) -> None:
        parser = configparser.ConfigParser()
        parser.read(ETC.parent / "setup.cfg")
        found = parser["files"]["data_files"]
        for path in (RULES, BOARD):
            name = path.parent.name
            self.assertIn(f"share/nova-cachemig/{name} = etc/{name}/*", found)


class Alerts(unittest.TestCase):
    def test_prometheus_accepts_the_rules(self) -> None:
        self.assertEqual("", promtool("check", "rules", str(RULES)))
        for rule in rules():
            self.assertIn(rule["labels"]["severity"], {"critical", "warning", "info"})
            self.assertEqual({"summary", "description"}, set(rule["annotations"]))

    def test_each_alert_has_a_case(self) -> None:
        self.assertEqual(sorted(BROKEN), sorted(rule["alert"] for rule in rules()))

    def case(self, given: list[tuple[str, str, str]], at: int, firing: list[str]) -> dict[str, Any]:
        count = 'count by (alertname) (ALERTS{alertstate="firing"})'
        samples = [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in firing]
        return {
            "name": firing[0] if firing else "healthy",
            "interval": "1m",
            "input_series": [series(*one) for one in given],
            "promql_expr_test": [{"expr": count, "eval_time": f"{at}m", "exp_samples": samples}],
        }

    def test_each_alert_fires_and_none_of_a_healthy_node(self) -> None:
        cases = [self.case(HEALTHY, at, []) for at in (20, 80)]
        for alert, (name, labels, values, minutes) in BROKEN.items():
            given = [*([(name, labels, values)] if values else []), *BESIDE.get(alert, [])]
            cases.append(self.case(given, minutes, [alert]))
        wanted = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": cases}
        with tempfile.NamedTemporaryFile("w", suffix=".yml") as file:
            yaml.safe_dump(wanted, file)
            file.flush()
            self.assertEqual("", promtool("test", "rules", file.name))

"""The forecaster's responses to the operator: forecasts, rankings and their reasons."""

from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from nova_cachemig.forecaster import query
from nova_cachemig.forecaster.daemon import Daemon
from nova_cachemig.forecaster.endpoint import Endpoint
from nova_cachemig.forecaster.plot import draw
from nova_cachemig.model.load import Sample
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.rpc.bus import check_primitive
from tests.unit.telemetry.config import conf

NOW = 1_772_366_400.0
UUID = "8d6b1f6e-0000-4000-8000-000000000001"


def daemon(directory: str, topic: str = "t") -> Daemon:
    """Three hosts of 10 CPUs at 20, 50 and 30 %; an instance on cmp3 that uses 1.5 CPUs."""
    options = {"topic": topic, "transport_url": "fake:/", "rpc_timeout": 2.0}
    made = conf(forecaster=options, sources=["none"], history_file=f"{directory}/history.npz")
    found = Daemon(made, lambda: NOW)
    found._schedulers.send = lambda wire: None  # type: ignore[method-assign]
    samples = []
    for minute in range(180):
        at = NOW - 60.0 * minute
        for host, load in (("cmp1", 20.0), ("cmp2", 50.0), ("cmp3", 30.0)):
            samples += [Sample(host, "cpu", at, load + minute % 3)]
            samples += [Sample(host, "cpus", at, 10.0)]
        samples.append(Sample("cmp3", "cpu", at, 150.0, UUID))
    samples.append(Sample("gone", "cpu", NOW - 5000.0, 1.0))
    found.collector.add(samples, live=False)
    return found


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)
        self.daemon = daemon(directory.name, self.id())
        self.endpoint = Endpoint(self.daemon)

    def made(self) -> None:
        self.assertIsNotNone(self.daemon.forecast())


class ResultTest(Case):
    def test_before_the_first_forecast(self) -> None:
        self.assertIsNone(self.endpoint.request_snapshot())
        for question in (self.endpoint.show, lambda: self.endpoint.rank(UUID, None)):
            with self.assertRaisesRegex(ValueError, "no forecast has been made"):
                question()

    def test_all_results_are_primitive(self) -> None:
        self.made()
        for result in (
            self.endpoint.request_snapshot(),
            self.endpoint.show(),
            self.endpoint.explain("cmp1"),
            self.endpoint.rank(UUID, None),
        ):
            check_primitive(result)
            json.dumps(result, allow_nan=False)

    def test_show(self) -> None:
        self.made()
        result = self.endpoint.show()
        self.assertEqual(["cmp1", "cmp2", "cmp3"], [row["host"] for row in result["hosts"]])
        self.assertEqual({"gone": 5000.0}, result["silent"])
        self.assertEqual(1, result["instances"])
        self.assertGreater(result["samples"]["taken"], 1000)
        columns, rows = query.show_table(result)
        self.assertEqual({len(columns)}, {len(row) for row in rows})
        self.assertEqual(("gone", "silent for 5000 s"), (rows[-1][0], rows[-1][-1]))

    def test_explain(self) -> None:
        self.made()
        result = self.endpoint.explain("cmp2")
        self.assertAlmostEqual(51.0, result["mean"], delta=2.0)
        self.assertLessEqual(result["low"], result["mean"])
        self.assertEqual(NOW, result["history"][-1][0])
        self.assertRegex(
            result["reasons"][0], r"mean load over the next 60 minutes is 5\d\.\d, between"
        )
        self.assertAlmostEqual(1.0, sum(result["weights"].values()), places=2)
        columns, rows = query.explain_table(result)
        self.assertEqual({len(columns)}, {len(row) for row in rows})

    def test_explain_what_is_unknown(self) -> None:
        self.made()
        with self.assertRaisesRegex(ValueError, "its newest sample is 5000 s old"):
            self.endpoint.explain("gone")
        with self.assertRaisesRegex(ValueError, "it has no samples"):
            self.endpoint.explain("never")


class Ranking(Case):
    def setUp(self) -> None:
        super().setUp()
        self.made()

    def rows(self, result: dict[str, Any]) -> list[tuple[str, float]]:
        return [(row["host"], row["added"]) for row in result["hosts"]]

    def test_the_source_loses_what_a_destination_gains(self) -> None:
        result = self.endpoint.rank(UUID, None)
        self.assertEqual([("cmp1", 15.0), ("cmp2", 15.0), ("cmp3", -15.0)], self.rows(result))
        self.assertEqual("cmp3", result["source"])
        self.assertIn("used 150.0 % of one CPU", result["reasons"][0])
        self.assertIn("cmp1 would be chosen", result["reasons"][1])
        columns, rows = query.rank_table(result)
        self.assertEqual([1, 2, None], [row[0] for row in rows])
        self.assertEqual({len(columns)}, {len(row) for row in rows})

    def test_without_samples_by_vcpus_or_not_at_all(self) -> None:
        result = self.endpoint.rank("other", 2)
        self.assertEqual({20.0}, {added for _, added in self.rows(result)})
        self.assertIn("2 vCPU at 100.0 % each", result["reasons"][0])
        result = self.endpoint.rank("other", None)
        self.assertEqual({0.0}, {added for _, added in self.rows(result)})
        self.assertIn("no load is added", result["reasons"][0])

    def test_pictures(self) -> None:
        result = self.endpoint.rank(UUID, None)
        for suffix, head in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
            path = self.directory / f"rank{suffix}"
            draw(result, path)
            self.assertTrue(path.read_bytes().startswith(head))
        with self.assertRaises(ValueError):
            draw(result, self.directory / "rank.nonsense")
        with self.assertRaisesRegex(ValueError, "no host"):
            draw(result | {"hosts": []}, self.directory / "rank.png")


class Asking(Case):
    """As nova-cachemig-manage does, over the bus."""

    def serve(self) -> None:
        options = self.daemon.conf.forecaster
        server = contract.server(self.daemon.conf, options.topic, "f", "fake:/", self.endpoint)
        server.start()
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(10))

    def test_over_the_bus(self) -> None:
        self.made()
        self.serve()
        made = self.daemon.conf
        self.assertEqual(3, len(query.show(made)["hosts"]))
        self.assertEqual("cmp1", query.explain(made, "cmp1")["host"])
        path = self.directory / "rank.png"
        self.assertEqual("cmp1", query.rank(made, UUID, plot=path)["hosts"][0]["host"])
        self.assertTrue(path.exists())
        with self.assertRaisesRegex(query.QueryError, "it has no samples"):
            query.explain(made, "never")
        with self.assertRaisesRegex(query.QueryError, "cannot be drawn"):
            query.rank(made, UUID, plot=self.directory / "no" / "such" / "folder.png")

    def test_no_forecaster_responds(self) -> None:
        self.daemon.conf.set_override("rpc_timeout", 0.2, group="forecaster")
        with self.assertRaisesRegex(query.QueryError, "no forecaster responds on topic"):
            query.show(self.daemon.conf)

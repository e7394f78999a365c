"""Responses of Prometheus, by httpx' mock transport. tests/functional has the real server."""

from __future__ import annotations

import json
import unittest
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock
from urllib.parse import parse_qs

import httpx

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry import response as limits
from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import SampleSink, SourceError
from tests.unit.telemetry.config import conf

NOW = 1_772_366_400.0


class Noted(SampleSink):
    def __init__(self) -> None:
        self.taken: list[Sample] = []
        self.bad: list[str] = []

    def add(self, samples: Sequence[Sample], *, live: bool) -> None:
        assert not live  # they are stamped by the server, not by the host
        self.taken += samples

    def malformed(self, what: str) -> None:
        self.bad.append(what)


def matrix(*series: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": "matrix", "result": list(series)}}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.noted = Noted()

    def source(self, respond: Callable[[dict[str, str]], Any], **options: Any) -> PrometheusSource:
        def handle(request: httpx.Request) -> httpx.Response:
            form = {key: value[0] for key, value in parse_qs(request.content.decode()).items()}
            self.asked.append(form)
            found = respond(form)
            if isinstance(found, Exception):
                raise found
            if isinstance(found, httpx.Response):
                return found
            return httpx.Response(200, content=json.dumps(found))

        options = {"prometheus_host_query": ["cpu = up"]} | options
        source = PrometheusSource(conf(**options))
        source._client = httpx.Client(transport=httpx.MockTransport(handle))
        self.addCleanup(source.stop)
        source.start(self.noted)
        return source


class ResponseTest(Case):
    def test_hosts_by_label_pattern_and_names(self) -> None:
        values = [[NOW, "12.5"], [NOW + 60, "NaN"]]
        source = self.source(
            lambda form: matrix(
                {"metric": {"instance": "10.0.0.11:9100"}, "values": values},
                {"metric": {"instance": "cmp2:9100"}, "values": values[:1]},
                {"metric": {"job": "node"}, "values": values},
                {"metric": {"instance": ":9100"}, "values": values},
                {"metric": {"instance": "cmp3"}, "values": [["x", "1"]]},
            ),
            prometheus_host_names={"10.0.0.11": "cmp1"},
        )
        source.poll(NOW - 60, NOW)
        found = [(s.host, s.metric, s.at, s.instance) for s in self.noted.taken]
        self.assertEqual(
            [
                ("cmp1", "cpu", NOW, None),
                ("cmp1", "cpu", NOW + 60, None),
                ("cmp2", "cpu", NOW, None),
            ],
            found,
        )
        self.assertEqual(3, len(self.noted.bad))

    def hosts(self, *labels: str, **options: Any) -> list[str]:
        series = [{"metric": {"instance": label}, "values": [[NOW, "1"]]} for label in labels]
        self.source(lambda form: matrix(*series), **options).poll(NOW - 60, NOW)
        return [sample.host for sample in self.noted.taken]

    def test_hosts_with_ipv6_addresses(self) -> None:
        found = self.hosts(
            "[2001:db8::1]:9100",
            "[2001:DB8:0::2]:9100",
            "2001:db8::3",
            prometheus_host_names={"2001:db8:0:0::1": "cmp1", "[2001:db8::2]": "cmp2"},
        )
        self.assertEqual(["cmp1", "cmp2", "2001:db8::3"], found)
        self.assertEqual([], self.noted.bad)

    def test_a_pattern_of_the_operator(self) -> None:
        found = self.hosts(
            "node/cmp1",
            "node/2001:DB8::2",
            "cmp3:9100",
            prometheus_host_pattern="^node/(?P<host>.*)$",
            prometheus_host_names={"2001:db8::2": "cmp2"},
        )
        self.assertEqual(["cmp1", "cmp2"], found)
        self.assertEqual(1, len(self.noted.bad))

    def test_after_a_response_that_is_too_large_the_next_ones_are_smaller(self) -> None:
        source = self.source(lambda form: matrix())
        for words in ("larger than .*: the next ones are for fewer points", "^cpu: .*MiB: the"):
            with (
                mock.patch.object(limits, "LIMIT", 1),
                self.assertRaisesRegex(SourceError, words),
            ):
                source.poll(NOW - 86400, NOW)
        source.poll(NOW - 86400, NOW)
        spans = [(float(form["end"]) - float(form["start"])) / 60 + 1 for form in self.asked]
        self.assertEqual([360, 180, 90], spans[:3])

    def test_each_instant_is_asked_for_once_and_gaps_are_filled_later(self) -> None:
        down = False

        def respond(form: dict[str, str]) -> Any:
            if down:
                return httpx.ConnectError("down")
            return matrix({"metric": {"instance": "a"}, "values": [[float(form["end"]), "1"]]})

        source = self.source(respond)
        source.poll(NOW - 600, NOW)
        down = True
        with self.assertRaises(SourceError):
            source.poll(NOW, NOW + 300)
        down = False
        source.poll(NOW + 300, NOW + 600)
        spans = [(float(form["start"]) - NOW, float(form["end"]) - NOW) for form in self.asked]
        self.assertEqual([(-540, 0), (60, 300), (60, 600)], spans)

    def test_long_spans_are_asked_for_in_chunks(self) -> None:
        source = self.source(lambda form: matrix())
        source.poll(NOW - 86400, NOW)
        self.assertEqual(4, len(self.asked))
        starts = [float(form["start"]) for form in self.asked]
        ends = [float(form["end"]) for form in self.asked]
        self.assertEqual([end + 60 for end in ends[:-1]], starts[1:])
        self.assertEqual(NOW, ends[-1])

    def test_one_query_that_fails_keeps_no_other(self) -> None:
        def respond(form: dict[str, str]) -> Any:
            if form["query"] == "wrong(":
                return httpx.Response(400, json={"status": "error", "error": "parse error"})
            return matrix({"metric": {"instance": "a"}, "values": [[NOW, "1"]]})

        source = self.source(respond, prometheus_host_query=["cpu = wrong(", "memory = m"])
        with self.assertRaisesRegex(SourceError, "cpu: 400 parse error"):
            source.poll(NOW - 60, NOW)
        self.assertEqual(["memory"], [s.metric for s in self.noted.taken])

    def test_unreachable_is_noticed_once_a_poll(self) -> None:
        source = self.source(
            lambda form: httpx.ConnectTimeout("no"), prometheus_host_query=["a = x", "b = y"]
        )
        with self.assertRaises(SourceError):
            source.poll(NOW - 60, NOW)
        self.assertEqual(1, len(self.asked))

    def test_invalid_responses(self) -> None:
        for response in (
            httpx.Response(502, text="<html>"),
            [],
            {"status": "success"},
            {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}},
        ):
            with self.subTest(response=response), self.assertRaises(SourceError):
                self.source(lambda form, response=response: response).poll(NOW - 60, NOW)

    def test_what_is_not_json_is_named_by_its_status(self) -> None:
        moved = {"Location": "https://prometheus/login?state=secret"}
        for code, headers, text in (
            (200, {}, "200 OK, and no JSON: check [telemetry] prometheus_url"),
            (404, {}, "404 Not Found, and no JSON: check [telemetry] prometheus_url"),
            (
                301,
                moved,
                "301 Moved Permanently, and no JSON: check [telemetry] prometheus_url. "
                "It redirects to https://prometheus/login",
            ),
        ):
            with self.subTest(code), self.assertRaises(SourceError) as caught:
                found = httpx.Response(code, headers=headers, text="<html>")
                self.source(lambda form, found=found: found).check(NOW)
            self.assertEqual(text, str(caught.exception))

    def test_refused_credentials_are_named_as_such(self) -> None:
        for code, text in ((401, "401 Unauthorized"), (403, "403 Forbidden")):
            source = self.source(lambda _, code=code: httpx.Response(code, text="<html>"))
            with self.assertRaisesRegex(SourceError, text):
                source.poll(NOW - 120, NOW)
            with self.assertRaisesRegex(SourceError, text):
                source.check(NOW)

    def test_wrong_credentials_are_noticed_once_a_poll(self) -> None:
        """Those that do not suffice may do so for the next query."""
        queries = ["a = x", "b = y"]
        for code, number in ((401, 1), (403, 2)):
            self.asked.clear()
            source = self.source(
                lambda _, code=code: httpx.Response(code), prometheus_host_query=queries
            )
            with self.subTest(code), self.assertRaises(SourceError):
                source.poll(NOW - 60, NOW)
            self.assertEqual(number, len(self.asked))

    def test_a_check_is_one_small_query(self) -> None:
        source = self.source(lambda _: matrix())
        source.check(NOW)
        self.assertEqual(["1"], [form["query"] for form in self.asked])

    def test_instances(self) -> None:
        source = self.source(
            lambda form: matrix(
                {"metric": {"instance": "a:9", "instance_id": "i1"}, "values": [[NOW, "55"]]},
                {"metric": {"instance": "a:9"}, "values": [[NOW, "55"]]},
            ),
            prometheus_host_query=[],
            prometheus_instance_query=["cpu = x"],
        )
        source.poll(NOW - 60, NOW)
        self.assertEqual([Sample("a", "cpu", NOW, 55.0, "i1")], self.noted.taken)
        self.assertEqual(1, len(self.noted.bad))


class Options(unittest.TestCase):
    def test_one_sentence_for_what_makes_no_sense(self) -> None:
        for options, words in (
            ({"prometheus_host_query": ["up"]}, "not 'METRIC = query'"),
            ({"prometheus_host_query": ["Upper = up"]}, "not 'METRIC = query'"),
            ({"prometheus_instance_query": ["cpu ="]}, "prometheus_instance_query"),
            ({"prometheus_host_pattern": "("}, "prometheus_host_pattern"),
            ({"prometheus_host_pattern": "(x)"}, "no group 'host'"),
            ({"prometheus_ca_file": "/does/not/exist"}, "prometheus_ca_file"),
        ):
            with self.subTest(options=options), self.assertRaisesRegex(SourceError, words):
                PrometheusSource(conf(**options))

    def test_the_defaults_make_sense(self) -> None:
        source = PrometheusSource(conf())
        self.assertEqual("cpu", source._hosts[0][0])
        self.assertIn('mode="idle"', source._hosts[0][1])

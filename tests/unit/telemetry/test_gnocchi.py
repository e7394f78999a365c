"""Responses of Gnocchi to a client that records. tests/functional has the real server."""

from __future__ import annotations

import datetime
import http.server
import json
import threading
import unittest
from collections.abc import Callable, Sequence
from typing import Any, ClassVar
from unittest import mock

import keystoneauth1.exceptions as errors
import requests
from keystoneauth1 import fixture, loading

from nova_cachemig.model.load import Sample
from nova_cachemig.telemetry import response as limits
from nova_cachemig.telemetry.gnocchi import GnocchiSource
from nova_cachemig.telemetry.source import AccessError, SampleSink, SourceError, UnreachableError
from tests.unit.telemetry.config import conf

NOW = 1_772_366_400.0
"""A multiple of 300."""
ACCOUNT = {"auth_type": "none", "endpoint_override": "http://127.0.0.1:1"}


class Noted(SampleSink):
    def __init__(self) -> None:
        self.taken: list[Sample] = []
        self.bad: list[str] = []

    def add(self, samples: Sequence[Sample], *, live: bool) -> None:
        assert not live  # they are stamped by Gnocchi, not by the host
        self.taken += samples

    def malformed(self, what: str) -> None:
        self.bad.append(what)


def response(code: int, text: str) -> requests.Response:
    made = requests.Response()
    made.status_code, made._content, made._content_consumed = code, text.encode(), True
    made.reason = {401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}.get(code, "")
    return made


def success(found: Any) -> requests.Response:
    return response(200, json.dumps(found))


def series(group: dict[str, Any], *points: tuple[float, float]) -> dict[str, Any]:
    """One host or instance; ``points``: (UNIX s at which the period begins, value)."""
    aggregated = [
        [datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat(), 300.0, value]
        for at, value in points
    ]
    return {"group": group, "measures": {"measures": {"aggregated": aggregated}}}


class FakeAdapter:
    """keystoneauth1's client: records the requests, and responds as the test says."""

    def __init__(self, respond: Callable[[dict[str, Any], dict[str, Any]], Any]) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self._respond = respond

    def post(
        self,
        path: str,
        *,
        params: dict[str, Any],
        json: dict[str, Any],  # the body
        headers: dict[str, str],
        raise_exc: bool,
        stream: bool,
        log: bool,
    ) -> Any:
        assert (path, headers["Accept"]) == ("/v1/aggregates", "application/json")
        assert (raise_exc, stream, log) == (False, True, False)
        self.asked.append((params, json))
        found = self._respond(params, json)
        if isinstance(found, Exception):
            raise found
        if isinstance(found, requests.Response):
            return found
        return success(found)

    def spans(self) -> list[tuple[float, float]]:
        """The first and last period of each request, in seconds from now."""
        return [
            (float(params["start"]) - NOW, float(params["stop"]) - 300 - NOW)
            for params, _ in self.asked
        ]


class Case(unittest.TestCase):
    def source(self, respond: Callable[..., Any], **options: Any) -> GnocchiSource:
        source = GnocchiSource(conf(gnocchi=ACCOUNT | options))
        self.noted = Noted()
        source.start(self.noted)
        self.adapter = FakeAdapter(respond)
        source._adapter = self.adapter
        return source

    def failure(self, found: Any) -> SourceError:
        with self.assertRaises(SourceError) as caught:
            self.source(lambda *_: found).poll(NOW - 300, NOW)
        return caught.exception


class SamplesTest(Case):
    def test_hosts_have_ceilometers_prefix_or_not(self) -> None:
        found = [
            series({"host_name": "compute.cmp1"}, (NOW - 300, 12.5)),
            series({"host_name": "compute.compute.example.org"}, (NOW - 300, 1.0)),
            series({"host_name": "cmp3"}, (NOW - 300, 2.0)),
            series({"host_name": ""}, (NOW - 300, 3.0)),
            series({"host_name": None}, (NOW - 300, 4.0)),
            {"group": {}},
        ]
        self.source(lambda *_: found).poll(NOW - 300, NOW)
        at = NOW - 150  # the middle of the period
        self.assertEqual(
            [
                Sample("cmp1", "cpu", at, 12.5),
                Sample("compute.example.org", "cpu", at, 1.0),
                Sample("cmp3", "cpu", at, 2.0),
            ],
            self.noted.taken,
        )
        self.assertEqual(3, len(self.noted.bad))

    def test_instances_and_one_without_a_host(self) -> None:
        found = [
            series({"id": "uuid-1", "host": "compute.x"}, (NOW - 300, 55.0)),
            series({"id": "uuid-2", "host": None}, (NOW - 300, 55.0)),
        ]
        source = self.source(lambda *_: found, host_query=[], instance_query=["cpu = x"])
        source.poll(NOW - 300, NOW)
        self.assertEqual([Sample("compute.x", "cpu", NOW - 150, 55.0, "uuid-1")], self.noted.taken)
        self.assertEqual([], self.noted.bad)
        [(params, body)] = self.adapter.asked
        self.assertEqual(["id", "host"], params["groupby"])
        self.assertEqual(
            {"operations": "x", "resource_type": "instance", "search": {"=": {"ended_at": None}}},
            body,
        )


class RangesTest(Case):
    def test_only_complete_periods_are_fetched(self) -> None:
        source = self.source(lambda *_: [])
        source.poll(NOW - 3000, NOW + 299)
        self.assertEqual([(-2700 - 300, -300)], self.adapter.spans())

    def test_hosts_that_are_late_are_not_lost_and_no_value_is_given_twice(self) -> None:
        early = series({"host_name": "a"}, (NOW - 300, 1.0))
        late = series({"host_name": "b"}, (NOW - 300, 2.0))
        found = [early]
        source = self.source(lambda *_: found)
        source.poll(NOW - 300, NOW)
        found.append(late)
        source.poll(NOW - 300, NOW + 60)
        source.poll(NOW - 300, NOW + 120)
        self.assertEqual(["a", "b"], [sample.host for sample in self.noted.taken])

    def test_after_an_outage_all_of_it_is_fetched(self) -> None:
        state: list[Any] = [[series({"host_name": "a"}, (NOW - 300, 1.0))]]
        source = self.source(lambda *_: state[0])
        source.poll(NOW - 300, NOW)
        state[0] = errors.ConnectFailure("down")
        for later in (300, 3000):
            with self.assertRaises(UnreachableError):
                source.poll(NOW, NOW + later)
        state[0] = []
        source.poll(NOW, NOW + 6000)
        self.assertEqual((-900, 5700), self.adapter.spans()[-1])

    def test_after_a_response_that_is_too_large_the_next_ones_are_smaller(self) -> None:
        source = self.source(lambda *_: [])
        with (
            mock.patch.object(limits, "LIMIT", 1),
            self.assertRaisesRegex(SourceError, "larger than .*: the next ones are for fewer"),
        ):
            source.poll(NOW - 86400, NOW)
        source.poll(NOW - 86400, NOW)
        (begin, end), (half_begin, half_end) = self.adapter.spans()[:2]
        self.assertEqual(begin, half_begin)
        self.assertEqual(180, (half_end - half_begin) / 300 + 1)
        self.assertEqual(288, (end - begin) / 300 + 1)

    def test_long_spans_are_fetched_in_chunks(self) -> None:
        source = self.source(lambda *_: [])
        source.poll(NOW - 3 * 86400, NOW)
        self.assertEqual(3, len(self.adapter.asked))
        self.assertEqual(-300, self.adapter.spans()[-1][1])


class ErrorsTest(Case):
    def test_gnocchis_own_words(self) -> None:
        for code, text, words in (
            (404, '{"description": "Metric [1] does not exist"}', "404 Not Found: Metric [1] does"),
            (
                400,
                '{"description": {"cause": "Invalid", "reason": "why", "detail": ["x"]}}',
                "400 : Invalid, why, ['x']",
            ),
            (404, "<html>", "404 Not Found"),
            (403, '{"description": ""}', "403 Forbidden"),
            (200, "<html>", "not a response of Gnocchi"),
            (200, "{}", "not a response of Gnocchi"),
        ):
            with self.subTest(text):
                self.assertIn(words, str(self.failure(response(code, text))))

    def test_operations_that_do_not_aggregate(self) -> None:
        found = series({"host_name": "a"})
        found["measures"]["measures"] = {"b57239b8": {"cpu": {"mean": []}}}
        self.assertIn("(aggregate mean", str(self.failure([found])))

    def test_one_query_that_fails_keeps_no_other(self) -> None:
        def respond(params: dict[str, Any], body: dict[str, Any]) -> Any:
            if body["operations"] == "wrong":
                return response(400, '{"description": "Invalid operations"}')
            return [series({"host_name": "a"}, (NOW - 300, 1.0))]

        source = self.source(respond, host_query=["cpu = wrong", "memory = right"])
        with self.assertRaisesRegex(SourceError, "^cpu: 400 : Invalid operations$"):
            source.poll(NOW - 300, NOW)
        self.assertEqual(["memory"], [sample.metric for sample in self.noted.taken])

    def test_what_stops_every_query_is_noticed_once_a_poll(self) -> None:
        for found, kind in (
            (response(401, ""), AccessError),
            (errors.Unauthorized("wrong password"), AccessError),
            (errors.ConnectTimeout("no"), UnreachableError),
        ):
            source = self.source(lambda *_, found=found: found, host_query=["a = x", "b = y"])
            with self.subTest(repr(found)), self.assertRaises(kind):
                source.poll(NOW - 300, NOW)
            self.assertEqual(1, len(self.adapter.asked))

    def test_other_errors_of_the_client(self) -> None:
        self.assertEqual(
            "cpu: no endpoint", str(self.failure(errors.EndpointNotFound("no endpoint")))
        )
        self.assertIn("ca.pem", str(self.failure(OSError("no /ca.pem"))))

    def test_a_check_is_one_query_for_two_periods(self) -> None:
        source = self.source(lambda *_: [], host_query=["a = x", "b = y"])
        source.check(NOW + 17)
        self.assertEqual([(-600, -300)], self.adapter.spans())
        self.assertEqual("x", self.adapter.asked[0][1]["operations"])


class Keystone(http.server.BaseHTTPRequestHandler):
    """Keystone and Gnocchi on one port. Gnocchi refuses the first token, as if it had expired."""

    tokens: ClassVar[list[str]] = []

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.reply(200, {"version": fixture.V3Discovery(f"{self.base}/v3")})

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/v3/auth/tokens"):
            self.tokens.append(f"token-{len(self.tokens)}")
            token = fixture.V3Token(project_id="p")
            token.add_service("metric").add_standard_endpoints(internal=f"{self.base}/metric")
            self.reply(201, token, self.tokens[-1])
        elif self.headers["X-Auth-Token"] == "token-0":
            self.reply(401, {})
        else:
            self.reply(200, [series({"host_name": self.path.partition("?")[0]}, (NOW - 300, 1.0))])

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def reply(self, status: int, body: Any, token: str = "") -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.send_header("X-Subject-Token", token)
        self.end_headers()
        self.wfile.write(text)


class KeystoneTest(unittest.TestCase):
    def test_the_endpoint_is_in_the_catalogue_and_a_token_is_renewed(self) -> None:
        Keystone.tokens.clear()
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Keystone)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self.addCleanup(server.server_close)
        self.addCleanup(thread.join)
        self.addCleanup(server.shutdown)
        options = conf(gnocchi={"auth_type": "v3applicationcredential"})
        plugin = loading.get_auth_plugin_conf_options("v3applicationcredential")
        options.register_opts(plugin, group="gnocchi")
        for name, value in (
            ("auth_url", f"http://127.0.0.1:{server.server_address[1]}/v3"),
            ("application_credential_id", "id"),
            ("application_credential_secret", "secret"),
        ):
            options.set_override(name, value, group="gnocchi")
        source = GnocchiSource(options)
        self.addCleanup(source.stop)
        noted = Noted()
        source.start(noted)
        source.poll(NOW - 300, NOW)
        self.assertEqual(["/metric/v1/aggregates"], [sample.host for sample in noted.taken])
        self.assertEqual(["token-0", "token-1"], Keystone.tokens)


class OptionsTest(unittest.TestCase):
    def test_one_sentence_for_what_makes_no_sense(self) -> None:
        for options, words in (
            ({"auth_type": None}, r"^\[gnocchi\] auth_type is not set"),
            ({"auth_type": "password"}, r"^\[gnocchi\] is not complete"),
            ({"host_query": ["up"]}, r"^\[gnocchi\] host_query: not 'METRIC"),
            ({"instance_query": ["cpu ="]}, r"^\[gnocchi\] instance_query: not"),
            ({"host_pattern": "(x)"}, r"^\[gnocchi\] host_pattern has no group 'host'$"),
            ({"version": "1", "min_version": "1"}, r"^\[gnocchi\] .*version"),
        ):
            with self.subTest(options), self.assertRaisesRegex(SourceError, words):
                GnocchiSource(conf(gnocchi=ACCOUNT | options))

    def test_a_request_without_a_server(self) -> None:
        source = GnocchiSource(conf(gnocchi=ACCOUNT))
        self.addCleanup(source.stop)
        with self.assertRaisesRegex(UnreachableError, "^Unable to .*Connection refused$"):
            source.check(NOW)

    def test_a_file_of_certificates_that_does_not_exist(self) -> None:
        options = {"cafile": "/no/ca.pem", "endpoint_override": "https://127.0.0.1:1"}
        source = GnocchiSource(conf(gnocchi=ACCOUNT | options))
        self.addCleanup(source.stop)
        with self.assertRaisesRegex(SourceError, "/no/ca.pem"):
            source.check(NOW)


if __name__ == "__main__":
    unittest.main()

"""Credentials, headers and TLS of Prometheus. No log and no error contains a secret."""

from __future__ import annotations

import base64
import logging
import tempfile
import unittest
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from nova_cachemig.telemetry.access import Access, AccessError
from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import SourceError
from tests.unit.telemetry.config import conf

SECRET = "opensesame"
URL = f"https://me:{SECRET}@prom.example.org/x/"


def access(**options: Any) -> Access:
    return Access(
        conf(**{f"prometheus_{name}": value for name, value in options.items()}).telemetry
    )


def basic(pair: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


class Case(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = Path(directory.name)

    def file(self, content: str | bytes) -> str:
        path = self.home / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return str(path)


class Headers(Case):
    def test_nothing_by_default(self) -> None:
        self.assertEqual({}, access().headers())

    def test_a_user_and_a_password(self) -> None:
        for options in (
            {"user": "me", "password": "s: e"},
            {"user": "me", "password_file": self.file("s: e\n")},
            {"url": "http://me:s%3A%20e@prom"},
            {"url": "http://me@prom", "password": "s: e"},
        ):
            with self.subTest(options):
                self.assertEqual(basic("me:s: e"), access(**options).headers())

    def test_a_file_is_read_for_each_request(self) -> None:
        found = access(user="me", password_file=self.file("old"))
        self.assertEqual(basic("me:old"), found.headers())
        self.file("new")
        self.assertEqual(basic("me:new"), found.headers())

    def test_a_token(self) -> None:
        found = access(token_file=self.file(" t0.k-n= \n"))
        self.assertEqual({"Authorization": "Bearer t0.k-n="}, found.headers())

    def test_further_headers_are_sent_too(self) -> None:
        found = access(
            header=["X-Scope-OrgID: a|b", "X-Empty-Space:c d:e"], user="me", password="p"
        )
        expected = {"X-Scope-OrgID": "a|b", "X-Empty-Space": "c d:e"} | basic("me:p")
        self.assertEqual(expected, found.headers())
        header = ["authorization: Token x"]
        self.assertEqual({"authorization": "Token x"}, access(header=header).headers())

    def test_files_that_cannot_be_used(self) -> None:
        for content in (b"", b"\n", b"\xff" + SECRET.encode()):
            file = self.file(content)
            for options in ({"user": "me", "password_file": file}, {"token_file": file}):
                with self.subTest(options), self.assertRaises(AccessError) as caught:
                    access(**options).headers()
                self.assertNotIn(SECRET, str(caught.exception))
        for token in (f"{SECRET}\nX: y", f"{SECRET}ü"):
            with self.subTest(token), self.assertRaises(AccessError) as caught:
                access(token_file=self.file(token)).headers()
            self.assertNotIn(SECRET, str(caught.exception))
        with self.assertRaisesRegex(AccessError, "prometheus_token_file: .*No such file"):
            access(token_file="/does/not/exist").headers()


class Options(Case):
    def test_one_sentence_without_the_secret_for_what_makes_no_sense(self) -> None:
        user = {"user": "me", "password": SECRET}
        for options, words in (
            ({"user": "me"}, "prometheus_user needs either"),
            (user | {"password_file": "/f"}, "prometheus_user needs either"),
            ({"password": SECRET}, "needs prometheus_user"),
            ({"password_file": "/f"}, "needs prometheus_user"),
            ({"user": "m:e", "password": SECRET}, "colon"),
            (user | {"url": URL}, "already has a user"),
            ({"url": URL, "token_file": "/f"}, "only one of"),
            (user | {"header": [f"AUTHORIZATION: {SECRET}"]}, "only one of"),
            ({"url": "http://me@prom"}, "prometheus_user needs either"),
            ({"header": ["A: b", SECRET]}, "number 2 is not"),
            ({"header": [f"A: {SECRET}\r\nB: c"]}, "number 1 is not"),
            ({"header": [f"A: ü{SECRET}"]}, "number 1 is not"),
            ({"header": ["A:"]}, "number 1 is not"),
            ({"header": ["A: b", f"a: {SECRET}"]}, "a appears twice"),
            ({"key_file": "/f"}, "needs prometheus_cert_file"),
            ({"cert_file": "/does/not/exist"}, "prometheus_cert_file.*No such file"),
            ({"cert_file": self.file("no PEM")}, "prometheus_cert_file"),
        ):
            with self.subTest(options), self.assertRaisesRegex(SourceError, words) as caught:
                access(**options)
            self.assertNotIn(SECRET, str(caught.exception))

    def test_an_encrypted_key_asks_nobody(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"x"),
        )
        with self.assertRaisesRegex(SourceError, "prometheus_key_file"):
            access(cert_file=self.file(key))


class Secrets(Case):
    def test_the_url_is_used_without_its_password(self) -> None:
        self.assertEqual("https://prom.example.org/x", access(url=URL).url)

    def test_no_log_shows_one(self) -> None:
        """Not even httpx', which logs each request's URL, nor oslo.config's list of options."""
        made = conf(
            prometheus_url=URL,
            prometheus_header=[f"X-Key: {SECRET}"],
            prometheus_host_query=["cpu = up"],
        )
        source = PrometheusSource(made)
        self.addCleanup(source.stop)
        asked: list[httpx.Request] = []

        def handle(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(401)

        source._client = httpx.Client(transport=httpx.MockTransport(handle))
        with self.assertLogs(level="DEBUG") as logged, self.assertRaises(AccessError) as caught:
            made.log_opt_values(logging.getLogger("test"), logging.DEBUG)
            source.poll(0.0, 600.0)
        self.assertEqual(basic(f"me:{SECRET}")["Authorization"], asked[0].headers["authorization"])
        self.assertEqual(SECRET, asked[0].headers["x-key"])
        self.assertIn("telemetry.prometheus_url", "\n".join(logged.output))
        self.assertIn("HTTP Request: POST https://prom.example.org/x/api", "\n".join(logged.output))
        self.assertNotIn(SECRET, "\n".join([*logged.output, str(caught.exception)]))

"""A real Prometheus that wants a password and a client certificate."""

from __future__ import annotations

import ssl
import time
import unittest
from typing import Any

from nova_cachemig.telemetry.prometheus import PrometheusSource
from nova_cachemig.telemetry.source import SourceError
from tests.functional.telemetry.pki import write_certificates
from tests.functional.telemetry.server import Prometheus
from tests.unit.telemetry.config import conf

PASSWORD = "opensesame: ü"
HASH = "$2b$04$TOmINBKhWy/89kw3LgpSju5S2j4nut/Tq4E1CIDAW31//EKubeje2"
"""bcrypt of the password, with the smallest cost."""

USERS = f"basic_auth_users:\n  forecaster: {HASH}\n"
TLS = """
tls_server_config:
  cert_file: server.pem
  key_file: server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.pem
"""


class AccessTest(unittest.TestCase):
    def start(self, web: str) -> Prometheus:
        self.server = server = Prometheus([])
        self.addCleanup(server.close)
        write_certificates(server.home)
        server.web = web
        server.client = {"auth": ("forecaster", PASSWORD)}
        if web.endswith(TLS):
            context = ssl.create_default_context(cafile=str(server.home / "ca.pem"))
            context.load_cert_chain(server.home / "client.pem", server.home / "client.key")
            server.client["verify"] = context
        server.start()
        return server

    def check(self, **options: Any) -> None:
        """Send a query; raises SourceError."""
        options = {"prometheus_url": self.server.url} | options
        source = PrometheusSource(conf(**options))
        self.addCleanup(source.stop)
        source.check(time.time())

    def test_a_password(self) -> None:
        server = self.start(USERS)
        file = server.home / "password"
        file.write_text(f"{PASSWORD}\n")
        self.check(prometheus_user="forecaster", prometheus_password=PASSWORD)
        self.check(
            prometheus_user="forecaster",
            prometheus_password_file=str(file),
            prometheus_header=["X-Scope-OrgID: cloud1"],
        )
        self.check(
            prometheus_url=server.url.replace("://", "://forecaster:opensesame%3A%20%C3%BC@")
        )
        for options in (
            {},
            {"prometheus_user": "forecaster", "prometheus_password": "wrong"},
            {"prometheus_header": ["Authorization: Bearer wrong"]},
        ):
            with self.subTest(options), self.assertRaisesRegex(SourceError, "^401 Unauthorized$"):
                self.check(**options)

    def test_a_client_certificate_and_a_password(self) -> None:
        home = self.start(USERS + TLS).home
        user = {"prometheus_user": "forecaster", "prometheus_password": PASSWORD}
        ca = {"prometheus_ca_file": str(home / "ca.pem")}
        cert = {
            "prometheus_cert_file": str(home / "client.pem"),
            "prometheus_key_file": str(home / "client.key"),
        }
        self.check(**user, **ca, **cert)
        both = home / "both.pem"
        both.write_bytes((home / "client.pem").read_bytes() + (home / "client.key").read_bytes())
        self.check(**user, **ca, prometheus_cert_file=str(both))
        for options, words in (
            (user | ca, "certificate required|bad certificate"),
            (ca | cert, "^401 Unauthorized$"),
            (user | cert, "CERTIFICATE_VERIFY_FAILED"),
            (user | cert | {"prometheus_ca_file": str(home / "other-ca.pem")}, "VERIFY_FAILED"),
        ):
            with self.subTest(words), self.assertRaisesRegex(SourceError, words):
                self.check(**options)

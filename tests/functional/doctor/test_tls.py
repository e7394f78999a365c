"""The doctor names each fault of TLS to a real RabbitMQ."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from nova_cachemig.doctor import broker
from nova_cachemig.doctor.verdicts.bus import Fault
from nova_cachemig.rpc import connection as link
from tests.functional.ports import free_port
from tests.functional.rpc.broker import Broker, make_certificate
from tests.unit.rpc.endpoints import new_conf


class TlsTest(unittest.TestCase):
    def setUp(self) -> None:
        here = tempfile.TemporaryDirectory()
        self.addCleanup(here.cleanup)
        self.here = Path(here.name)
        for name in ("server", "other"):
            make_certificate(self.here / f"{name}.pem", self.here / f"{name}.key")
        self.port = free_port()
        self.broker = Broker(
            f"listeners.ssl.1 = 127.0.0.1:{self.port}",
            f"ssl_options.cacertfile = {self.here}/server.pem",
            f"ssl_options.certfile = {self.here}/server.pem",
            f"ssl_options.keyfile = {self.here}/server.key",
            "ssl_options.verify = verify_none",
            bus="plain",
        )
        self.addCleanup(self.broker.close)
        self.broker.start()

    def fault(self, port: int, query: str = "", host: str = "127.0.0.1") -> Fault | None:
        url = f"rabbit://guest:guest@{host}:{port}/{query}"
        found = link.settings(new_conf(), url)
        assert found is not None
        return broker.attempt(found, found.servers[0]).fault

    def test_each_fault(self) -> None:
        for port, query, fault in (
            (self.port, "?ssl=1", Fault.CERTIFICATE),  # not signed by a CA of the system
            (self.port, f"?ssl=1&ssl_ca_file={self.here}/server.pem", None),
            (self.port, f"?ssl=1&ssl_ca_file={self.here}/other.pem", Fault.CERTIFICATE),
            (self.port, f"?ssl=1&ssl_ca_file={self.here}/none.pem", Fault.FILE),
            (self.port, "", Fault.CLOSED),
            (self.broker.port, "?ssl=1", Fault.TLS),
        ):
            with self.subTest(port=port, query=query):
                self.assertEqual(fault, self.fault(port, query))
        query = f"?ssl=1&ssl_ca_file={self.here}/server.pem"
        self.assertEqual(Fault.CERTIFICATE, self.fault(self.port, query, "localhost"))


if __name__ == "__main__":
    unittest.main()

import errno
import socket
import ssl
import unittest

import amqp

from nova_cachemig.doctor import broker
from nova_cachemig.doctor.broker import Server
from nova_cachemig.doctor.verdicts.bus import Fault
from tests.unit.rpc.endpoints import new_conf


class SettingsTest(unittest.TestCase):
    def test_a_url_with_several_nodes(self) -> None:
        url = "rabbit://u:p@r1:5671,v:q@[2001:db8::1]//cell1"
        found = broker.settings(new_conf(), url)
        assert found is not None
        self.assertEqual(
            (Server("r1", 5671, "u", "p"), Server("2001:db8::1", 5672, "v", "q")), found.servers
        )
        self.assertEqual(("/cell1", "u"), (found.vhost, found.user))
        self.assertEqual("[2001:db8::1]:5672", found.servers[1].name)

    def test_tls_by_the_options_or_by_the_url(self) -> None:
        conf = new_conf()
        self.assertIs(False, self.tls(conf, "rabbit://u:p@r1/"))
        self.assertIs(True, self.tls(conf, "rabbit://u:p@r1/?ssl=1"))
        tls = self.tls(conf, "rabbit://u:p@r1/?ssl=1&ssl_ca_file=/ca.pem")
        self.assertEqual({"ca_certs": "/ca.pem", "cert_reqs": ssl.CERT_REQUIRED}, tls)

    def tls(self, conf: object, url: str) -> object:
        found = broker.settings(conf, url)
        assert found is not None
        return found.tls

    def test_without_a_virtual_host_it_is_the_default_one(self) -> None:
        found = broker.settings(new_conf(), "rabbit://u:p@r1/")
        assert found is not None
        self.assertEqual("/", found.vhost)

    def test_another_bus_and_no_bus(self) -> None:
        self.assertIsNone(broker.settings(new_conf(), "fake://"))
        for url in (None, "rabbit://", "nonsense"):
            self.assertRaises(ValueError, broker.settings, new_conf(), url)


class FaultTest(unittest.TestCase):
    def test_errors_are_classified(self) -> None:
        for error, fault in (
            (amqp.AccessRefused("login"), Fault.PASSWORD),
            (amqp.NotAllowed("vhost x not found"), Fault.NO_VHOST),
            (amqp.NotAllowed("access to vhost 'x' refused for user 'u'"), Fault.NOT_ON_VHOST),
            (ssl.SSLCertVerificationError("self-signed"), Fault.CERTIFICATE),
            (ssl.SSLError("wrong version number"), Fault.TLS),
            (FileNotFoundError(errno.ENOENT, "No such file"), Fault.FILE),
            (TimeoutError("timed out"), Fault.TIMEOUT),
            (ConnectionRefusedError(), Fault.REFUSED),
            (ConnectionResetError(), Fault.CLOSED),
            (OSError("Server unexpectedly closed connection"), Fault.CLOSED),
            (OSError(errno.EHOSTUNREACH, "No route to host"), Fault.NO_ROUTE),
            (amqp.InternalError("x"), Fault.OTHER),
        ):
            self.assertEqual(fault, broker.fault_of(error), repr(error))

    def test_a_port_where_nothing_listens(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            found = broker.settings(new_conf(), f"rabbit://u:p@127.0.0.1:{port}/")
            assert found is not None
            self.assertEqual(Fault.REFUSED, broker.attempt(found, found.servers[0]).fault)


if __name__ == "__main__":
    unittest.main()

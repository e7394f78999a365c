import ssl
import unittest

from nova_cachemig.rpc import connection as link
from nova_cachemig.rpc.connection import Server
from tests.unit.rpc.endpoints import new_conf


class SettingsTest(unittest.TestCase):
    def test_a_url_with_several_nodes(self) -> None:
        url = "rabbit://u:p@r1:5671,v:q@[2001:db8::1]//cell1"
        found = link.settings(new_conf(), url)
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
        found = link.settings(conf, url)
        assert found is not None
        return found.tls

    def test_without_a_virtual_host_it_is_the_default_one(self) -> None:
        found = link.settings(new_conf(), "rabbit://u:p@r1/")
        assert found is not None
        self.assertEqual("/", found.vhost)

    def test_another_bus_and_no_bus(self) -> None:
        self.assertIsNone(link.settings(new_conf(), "fake://"))
        for url in (None, "rabbit://", "nonsense", "rabit://u:p@r1/", "rabbit://u:p@r1:port/"):
            self.assertRaises(ValueError, link.settings, new_conf(), url)

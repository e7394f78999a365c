"""Values that must never reach the engine's files."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.services import schema

GOOD = {
    "name": "shop", "instance": "4f6b9b8c-0d4e-4a52-8f6f-3f1f2b7f5a10", "port": 80,
    "listen": "203.0.113.10:80",
}  # fmt: skip


def parse(**fields):
    return schema.parse({"services": [GOOD | fields]}, "f.yaml")


class HostileTest(unittest.TestCase):
    def test_refused(self):
        for field, value in (
            ("name", "shop\n"),
            ("client_cookie", "sid\n"),
            ("network", "a\nb"),
            ("network", "a\x85"),
            ("listen", "203.0.113.10:80\n"),
            ("listen", "[fe80::1%\n]:80"),
            ("listen", "[fe80::1%eth0]:80"),
            ("listen", "203.0.113.10:٨٠"),
            ("hosts", ["shop.example\n"]),
            ("hosts", ["shop..example"]),
            ("hosts", [".".join(["a" * 60] * 5)]),
            ("hosts", ["."]),
            ("hosts", ["a b"]),
            ("hosts", ["é\n.example"]),
        ):
            with self.subTest(field=field, value=value):
                services, errors = parse(**{field: value})
                self.assertEqual([], services)
                self.assertEqual(1, len(errors))
                self.assertIn(field.removesuffix("s"), errors[0])

    def test_host_names_have_the_form_that_browsers_send(self):
        services, errors = parse(hosts=["BÜCHER.example.", "straße.example", "a_b.example"])
        self.assertEqual([], errors)
        self.assertEqual(
            ("xn--bcher-kva.example", "xn--strae-oqa.example", "a_b.example"), services[0].hosts
        )

    def test_port_is_a_whole_number(self):
        services, _ = parse(port=80.0)
        self.assertIsInstance(services[0].port, int)
        self.assertEqual([], parse(port=80.5)[0])

    @given(st.fixed_dictionaries(
        {}, optional={
            "name": st.text(max_size=9), "listen": st.text(max_size=20),
            "hosts": st.lists(st.text(max_size=9), max_size=3), "network": st.text(max_size=5),
            "client_cookie": st.text(max_size=5),
        },
    ))  # fmt: skip
    def test_no_control_character_is_accepted(self, fields):
        services, errors = parse(**fields)
        self.assertNotEqual(bool(services), bool(errors))
        for service in services:
            words = (service.name, service.listen[0], *service.hosts, service.network or "",
                     service.client_cookie or "")  # fmt: skip
            self.assertTrue(all(c.isprintable() or c not in "\r\n\0\t" for w in words for c in w))
            self.assertTrue(all(host.isascii() for host in service.hosts))

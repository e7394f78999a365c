"""Valid services files, and the errors of invalid ones."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.services import schema

UUID = "4f6b9b8c-0d4e-4a52-8f6f-3f1f2b7f5a10"


def entry(**changes):
    """Return a valid entry with changes."""
    return {"name": "shop", "instance": UUID, "port": 80, "listen": "192.0.2.1:80"} | changes


def parse(*entries):
    return schema.parse({"services": list(entries)}, "f.yaml")


class ParseTest(unittest.TestCase):
    def test_a_valid_entry(self):
        services, errors = parse(entry(hosts=["Shop.Example.ORG.", "bücher.example"]))
        self.assertEqual([], errors)
        self.assertEqual(("shop.example.org", "xn--bcher-kva.example"), services[0].hosts)
        self.assertEqual(("192.0.2.1", 80), services[0].listen)

    def test_round_trip(self):
        services, _ = parse(
            entry(hosts=["a.example"], network="n", honours_keys=True, client_cookie="sid"),
            entry(name="six", listen="[2001:DB8::1]:8080"),
            entry(name="off", listen="192.0.2.2:80", follow_links=False),
            entry(name="on", listen="192.0.2.3:80", follow_links=True),
        )
        self.assertEqual([None, None, False, True], [service.follow_links for service in services])
        again, errors = parse(*(schema.to_entry(service) for service in services))
        self.assertEqual([], errors)
        self.assertEqual(services, again)

    def test_each_error_names_the_file_and_the_field(self):
        invalid = {
            "follow_links": ["no", 0, None],
            "port": [0, 65536, "80", True, None],
            "name": ["", "A", "a" * 64, "-a", "a/b", 7],
            "instance": ["x", 7],
            "listen": ["192.0.2.1", "192.0.2.1:0", "::1:80", "shop:80", "1.2.3.4:99999"],
            "hosts": [["a b"], ["a:80"], ["*.example"], ["a..b"], ["x", "X"], "a.example", [""]],
            "writes": ["later"],
            "client_cookie": ["a b", "a;b"],
            "unknown": [1],
        }
        for field, values in invalid.items():
            for value in values:
                with self.subTest(field=field, value=value):
                    services, errors = parse(entry(**{field: value}))
                    self.assertEqual([], services)
                    self.assertEqual(1, len(errors), errors)
                    self.assertIn("f.yaml", errors[0])
                    self.assertIn("host" if field == "hosts" else field, errors[0])

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
    def test_any_other_document_is_an_error_and_never_an_exception(self, document):
        services, errors = schema.parse(document, "f.yaml")
        self.assertEqual([], services)
        self.assertTrue(errors)


class ConflictsTest(unittest.TestCase):
    def conflicts(self, *entries):
        services, errors = parse(*entries)
        self.assertEqual([], errors)
        return schema.conflicts([(f"{n}.yaml", s) for n, s in enumerate(services)])

    def test_two_names_on_one_address(self):
        self.assertEqual(
            [], self.conflicts(entry(hosts=["a.example"]), entry(name="b", hosts=["b.example"]))
        )

    def test_the_same_name(self):
        self.assertIn(
            "name 'shop' is taken", self.conflicts(entry(), entry(listen="192.0.2.2:80"))[0]
        )

    def test_the_same_host_on_the_same_address(self):
        found = self.conflicts(entry(hosts=["a.example"]), entry(name="b", hosts=["A.example"]))
        self.assertIn("taken by service 'shop'", found[0])

    def test_an_exclusive_and_a_shared_use_of_an_address(self):
        found = self.conflicts(entry(), entry(name="b", hosts=["b.example"]))
        self.assertIn("exclusively", found[0])

    def test_two_exclusive_uses_of_an_address(self):
        self.assertIn("is taken by", self.conflicts(entry(), entry(name="b"))[0])

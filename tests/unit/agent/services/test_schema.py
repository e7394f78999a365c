"""Valid services files, and the errors of invalid ones."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.services import schema
from nova_cachemig.model.service import Limits, SendProxy

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
            entry(
                name="six",
                listen="[2001:DB8::1]:8080",
                trusted_proxies=["10.0.0.0/24", "2001:DB8::/32", "192.0.2.7"],
            ),
            entry(name="off", listen="192.0.2.2:80", follow_links=False),
            entry(name="on", listen="192.0.2.3:80", follow_links=True),
            entry(
                name="float", listen="192.0.2.4:80", floating=True, network="n", forwarded_for=True
            ),
            entry(name="limited", listen="192.0.2.6:80", limits={"held": 0, "rate": 10.0}),
            entry(name="given", listen="192.0.2.5:80", address="2001:DB8::05", forwarded_for=False),
        )
        self.assertEqual(
            [None, None, False, True], [service.follow_links for service in services][:4]
        )
        self.assertEqual((True, None), (services[4].floating, services[4].address))
        self.assertEqual((False, "2001:db8::5"), (services[6].floating, services[6].address))
        self.assertEqual(Limits(held=0, rate=10), services[5].limits)
        self.assertEqual(
            [None, True, None, False], [service.forwarded_for for service in services][3:7]
        )
        self.assertEqual(
            ("10.0.0.0/24", "2001:db8::/32", "192.0.2.7/32"), services[1].trusted_proxies
        )
        self.assertIsNone(services[0].trusted_proxies)
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
            "address": [
                "",
                "shop",
                "10.0.0.5:80",
                "fe80::1",
                "fe80::1%eth0",
                "127.0.0.1",
                "::1",
                "::",
                "0.0.0.0",
                "0.1.2.3",
                "224.0.0.1",
                "ff02::1",
                "255.255.255.255",
                "169.254.169.254",
                "::ffff:127.0.0.1",
                "::ffff:10.0.0.5",
                7,
            ],
            "forwarded_for": ["yes", 1, None],
            "trusted_proxies": ["10.0.0.0/8", ["10.0.0.1/8"], ["fe80::1%eth0"], ["lb"], [""], None],
            "tls": [
                True,
                {},
                {"certificates": []},
                {"certificates": ["shop.pem"]},
                {"certificates": ["/a"], "min_version": "1.1"},
                {"certificates": ["/a"], "http2": "no"},
            ],
            "accept_proxy": ["yes", 1],
            "send_proxy": ["v3", True, None],
            "limits": [
                1,
                {"held": -1},
                {"rate": 1000001},
                {"rate": 1.5},
                {"connections": True},
                {"clients": 1},
            ],
            "floating": ["yes", 1, None],
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

    def test_one_way_to_the_guest(self):
        for other in ({"floating": True}, {"network": "n"}):
            services, errors = parse(entry(address="10.0.0.5", **other))
            self.assertEqual([], services)
            self.assertIn("exclude each other", errors[0])
        self.assertEqual([], parse(entry(address="10.0.0.5", floating=False))[1])

    @given(st.recursive(st.none() | st.integers() | st.text(), st.lists))
    def test_any_other_document_is_an_error_and_never_an_exception(self, document):
        services, errors = schema.parse(document, "f.yaml")
        self.assertEqual([], services)
        self.assertTrue(errors)


class ProxyProtocolTest(unittest.TestCase):
    def test_round_trip(self):
        given = entry(accept_proxy=True, send_proxy="v2")
        services, errors = parse(entry(name="none", listen="192.0.2.2:80"), given)
        self.assertEqual([], errors)
        self.assertEqual((False, None), (services[0].accept_proxy, services[0].send_proxy))
        self.assertEqual((True, SendProxy.V2), (services[1].accept_proxy, services[1].send_proxy))
        again = schema.to_entry(services[1])
        self.assertEqual((True, "v2"), (again["accept_proxy"], again["send_proxy"]))

    def test_all_services_on_an_address_or_none(self):
        one = entry(hosts=["a.example"], accept_proxy=True)
        services, _ = parse(one, entry(name="two", hosts=["b.example"]))
        (error,) = schema.conflicts([("f.yaml", service) for service in services])
        self.assertIn("all services on 192.0.2.1:80 have accept_proxy, or none", error)


class TlsTest(unittest.TestCase):
    def test_round_trip(self):
        given = {"certificates": ["/a.pem", "/b"], "min_version": "1.3", "http2": False}
        services, errors = parse(entry(tls={"certificates": ["/a"]}), entry(name="two", tls=given))
        self.assertEqual([], errors)
        self.assertEqual(("1.2", True), (services[0].tls.min_version, services[0].tls.http2))
        self.assertEqual(given, schema.to_entry(services[1])["tls"])

    def test_all_services_on_an_address_or_none(self):
        one = entry(hosts=["a.example"], tls={"certificates": ["/a"]})
        services, _ = parse(one, entry(name="two", hosts=["b.example"]))
        (error,) = schema.conflicts([("f.yaml", service) for service in services])
        self.assertIn("either all services on 192.0.2.1:80 have tls, or none", error)


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

    def test_a_guest_at_a_front_address(self):
        found = self.conflicts(entry(), entry(name="b", address="192.0.2.1", listen="192.0.2.2:81"))
        self.assertIn("is a front address of this node", found[0])
        self.assertEqual([], self.conflicts(entry(address="192.0.2.1", port=81)))

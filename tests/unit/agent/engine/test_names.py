"""Names: any text that a client or an operator chose becomes one word."""

from __future__ import annotations

import re
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.admin import command
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import SendProxy, Service, Target


def service(**fields: object) -> Service:
    given_fields = {"name": "s", "instance": "i", "port": 80, "listen": ("10.0.0.1", 80), **fields}
    return Service(**given_fields)  # type: ignore[arg-type]


class Words(unittest.TestCase):
    @settings(deadline=None)
    @given(st.text(min_size=1, max_size=15))
    def test_a_service_name_is_one_word_and_decodes_to_itself(self, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError:
            return  # a configuration file cannot contain lone surrogates
        encoded = names.encode_service(name)
        self.assertEqual(name, names.decode_service(encoded))
        command("set", "map", "/m", encoded, "armed:1")

    def test_empty_and_too_long_names_are_refused(self) -> None:
        for name in ("", "é" * 40):
            with self.assertRaises(ComponentError):
                names.encode_service(name)

    @settings(deadline=None)
    @given(st.text(max_size=50))
    def test_pending_keys_are_hashes(self, url: str) -> None:
        try:
            key = names.pending_key("s", "url:" + url)
        except ComponentError:
            return
        self.assertRegex(key, "^[0-9A-F]{40}$")

    def test_other_pending_keys_are_refused(self) -> None:
        for key in ("", "url", "url:", "ip:1", "journal"):
            with self.assertRaises(ComponentError):
                names.pending_key("s", key)

    def test_a_page_key_is_what_haproxy_computes(self) -> None:
        # printf 'a%%20b|url:/x' | sha1sum, in capitals
        key = "18FB73A44C319540B11A869095D0A3DDAF52A9A4"
        for url in ("/x", "/x?y=1", "//X/", "/%78"):
            self.assertEqual(key, names.pending_key("a b", f"url:{url}"))
        self.assertNotEqual(key, names.pending_key("a b", "url:/y"))
        self.assertNotEqual(key, names.pending_key("a", "url:/x"))

    def test_tokens_are_unique(self) -> None:
        tokens = {names.new_token() for _ in range(1000)}
        self.assertEqual(1000, len(tokens))
        self.assertTrue(all(re.fullmatch("[0-9a-f-]+", token) for token in tokens))


class Addresses(unittest.TestCase):
    def test_listen(self) -> None:
        self.assertEqual("10.0.0.1:80", names.bind_address(("10.0.0.1", 80)))
        self.assertEqual("[::1]:80", names.bind_address(("0:0::1", 80)))
        for listen in (("host", 80), ("10.0.0.1", 0), ("10.0.0.1", 65536), ("10.0.0.1 ", 1)):
            with self.assertRaises(ComponentError):
                names.bind_address(listen)

    def test_target(self) -> None:
        self.assertEqual("10.0.0.1|8080", names.target_value(Target("10.0.0.1", 8080)))
        self.assertEqual("fe80::1|8080", names.target_value(Target("FE80::1", 8080)))

    def test_a_target_says_whether_the_clients_address_is_sent(self) -> None:
        for forwarded_for, value in (
            (None, "fe80::1|8080"),
            (True, "fe80::1|8080|xff"),
            (False, "fe80::1|8080|no-xff"),
        ):
            target = Target("fe80::1", 8080)
            self.assertEqual(value, names.target_value(target, forwarded_for))
            self.assertEqual(target, names.target_of(value))

    def test_a_target_names_the_version_of_the_proxy_protocol(self) -> None:
        target = Target("10.0.0.1", 80)
        for forwarded_for, value in ((None, "10.0.0.1|80||v1"), (True, "10.0.0.1|80|xff|v1")):
            self.assertEqual(value, names.target_value(target, forwarded_for, SendProxy.V1))
            self.assertEqual(target, names.target_of(value))

    def test_a_bind_has_the_networks_of_its_proxies(self) -> None:
        self.assertEqual("10.0.0.1:80 ssl x", names.with_proxies("10.0.0.1:80 ssl x", ""))
        bind = names.with_proxies("10.0.0.1:80 ssl x", "10.0.0.0/24 ::/0")
        self.assertEqual(("10.0.0.1:80 ssl x", "10.0.0.0/24 ::/0"), names.proxies_of(bind))
        self.assertEqual(("10.0.0.1:80", ""), names.proxies_of("10.0.0.1:80"))

    def test_routes(self) -> None:
        self.assertEqual(["10.0.0.1:80"], names.route_keys(service()))
        self.assertEqual(
            ["a.example|10.0.0.1:80", "b.example|10.0.0.1:80"],
            names.route_keys(service(hosts=("A.example", "b.example"))),
        )
        self.assertEqual(
            ["a.example|10.0.0.1:8080", "a.example:8080|10.0.0.1:8080"],
            names.route_keys(service(hosts=("a.example",), listen=("10.0.0.1", 8080))),
        )
        for host in ("", "a b", "a|b", "a\nb", "a;b"):
            with self.assertRaises(ComponentError):
                names.route_keys(service(hosts=(host,)))

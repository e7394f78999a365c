"""Names: whatever somebody chose is one word afterwards."""

from __future__ import annotations

import re
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.engine.admin import command
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Service, Target


def service(**fields: object) -> Service:
    given_fields = {"name": "s", "instance": "i", "port": 80, "listen": ("10.0.0.1", 80), **fields}
    return Service(**given_fields)  # type: ignore[arg-type]


class Words(unittest.TestCase):
    @settings(deadline=None)
    @given(st.text(min_size=1, max_size=15))
    def test_a_service_name_is_a_word_and_comes_back(self, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError:
            return  # lone surrogates are in no configuration file
        word = names.of_service(name)
        self.assertEqual(name, names.to_service(word))
        command("set", "map", "/m", word, "armed:1")

    def test_no_name_and_too_long_names_are_refused(self) -> None:
        for name in ("", "é" * 40):
            with self.assertRaises(ComponentError):
                names.of_service(name)

    @settings(deadline=None)
    @given(st.text(max_size=50))
    def test_pending_keys_are_hashes(self, rest: str) -> None:
        try:
            key = names.of_pending("s", "url:" + rest)
        except (ComponentError, UnicodeEncodeError):
            return
        self.assertRegex(key, "^[0-9A-F]{40}$")

    def test_other_pending_keys_are_refused(self) -> None:
        for key in ("", "url", "url:", "ip:1", "journal"):
            with self.assertRaises(ComponentError):
                names.of_pending("s", key)

    def test_a_page_key_is_what_haproxy_computes(self) -> None:
        # printf 'a%%20b|shop.example|/x?y=1' | sha1sum, in capitals
        self.assertEqual(
            "8EFA7A33C48574919D312BD9ED3B21E664FC559E",
            names.of_page("a b", "shop.example", "/x?y=1"),
        )
        self.assertEqual(
            names.of_page("a b", "Shop.Example", "/x"), names.of_page("a b", "shop.example", "/x")
        )
        self.assertNotEqual(names.of_page("a", "b", "/x"), names.of_page("a", "b", "/X"))

    def test_marks_are_never_the_same(self) -> None:
        marks = {names.new_mark() for _ in range(1000)}
        self.assertEqual(1000, len(marks))
        self.assertTrue(all(re.fullmatch("[0-9a-f-]+", mark) for mark in marks))


class Addresses(unittest.TestCase):
    def test_listen(self) -> None:
        self.assertEqual("10.0.0.1:80", names.of_listen(("10.0.0.1", 80)))
        self.assertEqual("[::1]:80", names.of_listen(("0:0::1", 80)))
        for listen in (("host", 80), ("10.0.0.1", 0), ("10.0.0.1", 65536), ("10.0.0.1 ", 1)):
            with self.assertRaises(ComponentError):
                names.of_listen(listen)

    def test_target(self) -> None:
        self.assertEqual("10.0.0.1|8080", names.of_target(Target("10.0.0.1", 8080)))
        self.assertEqual("fe80::1|8080", names.of_target(Target("FE80::1", 8080)))

    def test_routes(self) -> None:
        self.assertEqual(["10.0.0.1:80"], names.of_routes(service()))
        self.assertEqual(
            ["10.0.0.1:80|a.example", "10.0.0.1:80|b.example"],
            names.of_routes(service(hosts=("A.example", "b.example"))),
        )
        for host in ("", "a b", "a|b", "a\nb", "a;b"):
            with self.assertRaises(ComponentError):
                names.of_routes(service(hosts=(host,)))

"""The headers of a TLS terminator."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.terminator import NONE, Majority, Terminator, parse

HOSTS = ("shop.example", "www.shop.example")


class ParseTest(unittest.TestCase):
    def test_values(self):
        for text, value in (
            ("https|||", Terminator("https")),
            ("https|Shop.example|443|", Terminator("https", "Shop.example", "443")),
            ("https|www.shop.example:8443||", Terminator("https", "www.shop.example:8443")),
            ("|||for=192.0.2.1;proto=https;host=shop.example",
             Terminator(forwarded="proto=https;host=shop.example")),
            ('|||for="[2001:db8::1]:5";Proto="https";by=_x', Terminator(forwarded="proto=https")),
            ('|||host="shop.example:8443"', Terminator(forwarded='host="shop.example:8443"')),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(value, parse(text, HOSTS))

    def test_values_that_are_not_used(self):
        for text in (
            "", "x", "|||", "https", "https, http|||", "HTTPS|||", "javascript|||",
            "|evil.example||", "|shop.example.evil.example||", "|shop.example:x||",
            "|shop.example, evil.example||", "||0|", "||99999|", "||8 0|", "||||https",
            "|||proto=ftp", "|||proto=https, proto=http", "|||proto=https;secret=x",
            "|||host=evil.example", "|||for=192.0.2.1", '|||host="shop.example',
        ):  # fmt: skip
            with self.subTest(text):
                self.assertEqual(NONE, parse(text, HOSTS))

    def test_headers(self):
        self.assertEqual({}, NONE.headers())
        self.assertEqual(
            {"X-Forwarded-Proto": "https", "X-Forwarded-Port": "443"},
            Terminator("https", port="443").headers(),
        )

    @given(st.lists(st.text(), min_size=4, max_size=4).map("|".join))
    def test_no_text_of_a_client_gets_into_a_header(self, text):
        for value in parse(text, HOSTS).headers().values():
            self.assertRegex(value, r'\A[\w.:;="-]+\Z')
            self.assertTrue(value.isascii())
            self.assertNotIn("evil", value)


class MajorityTest(unittest.TestCase):
    def test_most_of_the_votes(self):
        https, http = Terminator("https"), Terminator("http")
        votes = Majority()
        for value in (http, https, https, http, https):
            votes.add(value)
        self.assertEqual(https, votes.value)

    def test_old_votes_are_forgotten(self):
        https = Terminator("https")
        votes = Majority()
        for _ in range(1000):
            votes.add(https)
        for _ in range(51):
            votes.add(NONE)
        self.assertEqual(NONE, votes.value)

"""Strangers are plausible, and differ in everything that a page may depend on."""

import ipaddress
import random
import re
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm.proof import Dimension
from nova_cachemig.agent.warm.strangers import headers, strangers
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.popularity.habits import NO_HABITS, Habits, Kind

_RANGES = [ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")]


def habits_of(agent="", language="", accept=""):
    habits = Habits()
    for client in "ab":
        habits.record(
            AccessRecord("s", client, "GET", "h", "/", 200, 1.0, 0.1,
                         agent=agent, language=language, accept=accept)
        )  # fmt: skip
    return habits


def three(habits=NO_HABITS, kind=Kind.DOCUMENT, cookies=("_ga*",)):
    return strangers(habits, kind, "http://h/", cookies, random.Random(1))


def choice(languages, header):
    """Return what a site with these languages gives for a header: the first one that it has."""
    for tag in header.lower().split(","):
        for language in languages:
            if tag.partition(";")[0].split("-")[0] == language:
                return language
    return languages[0]


class StrangersTest(unittest.TestCase):
    @given(st.sampled_from(list(Kind)), st.text(), st.text(), st.text())
    def test_each_dimension_has_three_values(self, kind, agent, language, accept):
        people = three(habits_of(agent, language, accept), kind)
        for dimension in Dimension:
            self.assertEqual(3, len({one.get(dimension) for one in people}), dimension)
        for one, network in zip(people, _RANGES, strict=True):
            self.assertIn(ipaddress.ip_address(one[Dimension.ADDRESS]), network)

    def test_the_first_is_as_most_users_and_has_no_cookies(self):
        first, *_ = three(habits_of("A browser", "sv-SE,sv;q=0.9", "text/html"))
        self.assertEqual(
            {"User-Agent": "A browser", "Accept-Language": "sv-SE,sv;q=0.9", "Accept": "text/html"},
            {n: v for n, v in headers(first).items() if n != "X-Forwarded-For"},
        )

    @given(
        st.lists(
            st.sampled_from(["en", "de", "fr", "ja", "ko", "zh", "fa", "sr"]),
            min_size=2,
            unique=True,
        ),
        st.sampled_from(["", "de-DE,de;q=0.9,en-US;q=0.8,en;q=0.7", "ja", "mi", "zh-CN,zh"]),
    )
    def test_a_site_with_two_languages_shows_it(self, languages, common):
        people = three(habits_of(language=common))
        shown = [choice(languages, one[Dimension.LANGUAGE]) for one in people]
        self.assertGreater(len(set(shown)), 1, shown)

    def test_a_telephone_is_among_them(self):
        for agent in ("", three()[1][Dimension.BROWSER], "curl/8"):
            agents = [one[Dimension.BROWSER] for one in three(habits_of(agent))]
            self.assertEqual({True, False}, {"Mobile" in one for one in agents})

    def test_client_hints_are_those_of_the_browser(self):
        chrome, phone, firefox = map(headers, three())
        self.assertEqual(('"Windows"', "?0"),
                         (chrome["Sec-CH-UA-Platform"], chrome["Sec-CH-UA-Mobile"]))  # fmt: skip
        self.assertNotIn("Sec-CH-UA", phone)
        self.assertNotIn("Sec-CH-UA", firefox)

    def test_cookies_of_scripts_only(self):
        self.assertNotIn(Dimension.COOKIES, three()[0])
        for one in three()[1:]:
            self.assertRegex(one[Dimension.COOKIES], re.compile(r"_ga=[A-Z0-9.]+\Z"))
        self.assertFalse(any(Dimension.COOKIES in one for one in three(cookies=())))

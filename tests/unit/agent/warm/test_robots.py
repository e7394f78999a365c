"""The rules of a robots.txt."""

import time
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm import robots


def allows(text, url):
    return robots.parse(text).allows(url)


class RobotsTest(unittest.TestCase):
    def test_the_longest_rule_applies(self):
        text = "User-agent: *\nDisallow: /wp-admin/\nAllow: /wp-admin/admin-ajax.php\n"
        for url, allowed in (
            ("/", True), ("/wp-admin", True), ("/wp-admin/", False), ("/wp-admin/x", False),
            ("/wp-admin/admin-ajax.php", True),
        ):  # fmt: skip
            self.assertIs(allowed, allows(text, url), url)
        self.assertTrue(allows("User-agent: *\nDisallow: /a\nAllow: /a", "/a"))

    def test_patterns(self):
        for pattern, url, matches in (
            ("/*?add-to-cart=", "/shop/?add-to-cart=5", True),
            ("/*?add-to-cart=", "/shop/", False),
            ("/*.php$", "/a.php", True),
            ("/*.php$", "/a.php?x", False),
            ("/*.php$", "/a.php/b.php", True),
            ("/a*b*c", "/a1b2c3", True),
            ("/a*b*c", "/acb", False),
            ("*/print", "/x/print", True),
            ("/a**", "/ab", True),
            ("/%7Ea", "/~a/b", True),
            ("/~a", "/%7ea", True),
            ("/%2fa", "//a", False),
            ("/a.b", "/axb", False),
            ("", "/a", False),
        ):
            with self.subTest(pattern=pattern, url=url):
                text = f"User-agent: *\nDisallow: {pattern}"
                self.assertIs(not matches, allows(text, url))

    def test_groups(self):
        text = (
            "\ufeffDisallow: /early\nUser-agent: Other\nDisallow: /\n\n"
            "User-Agent: First # a comment\nuser-agent: *\nSitemap: /s.xml\nDISALLOW: /both#x\n"
            "User-agent: *\nDisallow: /more\nno colon\n"
        )
        for url, allowed in (("/early", True), ("/both", False), ("/more", False), ("/x", True)):
            self.assertIs(allowed, allows(text, url), url)
        self.assertFalse(allows("User-agent: Nova-Cachemig-Warmer\nDisallow: /a", "/a"))
        named = f"User-agent: *\nDisallow: /\nUser-agent: {robots.AGENT}\nDisallow: /a\n"
        self.assertTrue(allows(named, "/b"))

    def test_constants(self):
        self.assertTrue(robots.ALL_ALLOWED.allows("/a"))
        self.assertFalse(robots.NONE_ALLOWED.allows("/a"))

    def test_a_hostile_pattern_takes_no_time(self):
        text = "User-agent: *\n" + "".join(f"Disallow: /{'*a' * 200}{i}\n" for i in range(100))
        began = time.process_time()
        self.assertTrue(allows(text, "/" + 2000 * "a"))
        self.assertLess(time.process_time() - began, 2.0)

    @given(st.text(), st.text())
    def test_any_text(self, text, url):
        self.assertIsInstance(allows(text, "/" + url), bool)
        self.assertIsInstance(allows("User-agent: *\nDisallow: /" + text, "/" + url), bool)

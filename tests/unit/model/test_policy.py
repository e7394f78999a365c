"""The rules that apply to a URL, and their sum."""

import fnmatch
import re
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.policy import Consent, Policy, Rule, matches


class MatchesTest(unittest.TestCase):
    @given(st.text("ab*", max_size=8), st.text("ab", max_size=12))
    def test_as_a_regular_expression_would(self, glob, text):
        pattern = fnmatch.translate(glob)
        self.assertEqual(re.match(pattern, text) is not None, matches(glob, text))

    def test_ends_do_not_overlap(self):
        self.assertFalse(matches("ab*ba", "aba"))
        self.assertTrue(matches("ab*ba", "abba"))


class RuleTest(unittest.TestCase):
    def test_a_glob_with_a_query_is_compared_with_path_and_query(self):
        rule = Rule(paths=("*?do=edit*", "/admin/*"), never=True)
        self.assertTrue(rule.applies("/page?do=edit&x=1"))
        self.assertTrue(rule.applies("/admin/x?y=1"))
        self.assertFalse(rule.applies("/page?x=1"))

    def test_without_paths_it_applies_to_all(self):
        self.assertTrue(Rule(never=True).applies("/x?y"))


class PolicyTest(unittest.TestCase):
    def test_the_first_rule_that_says_something_decides(self):
        own = Rule(paths=("/cart/help",), never=False)
        policy = Policy(own=(own,), inherited=(Rule(paths=("/cart/*",), never=True),))
        self.assertFalse(policy.never("/cart/help"))
        self.assertTrue(policy.never("/cart/x"))
        self.assertFalse(policy.never("/"))

    def test_only_the_own_rules_with_paths_say_what_may_be_fetched(self):
        own = (Rule(("/start",), never=False), Rule(("/stop",), never=True), Rule(never=False))
        policy = Policy(own=own, inherited=(Rule(("/preset",), never=False),))
        for url, fetched in (("/start", True), ("/stop", False), ("/x", False), ("/preset", False)):
            self.assertIs(fetched, policy.fetches(url), url)

    def test_static_pages(self):
        rules = (Rule(("/live.css",), static=False), Rule(("*.css",), static=True))
        policy = Policy(inherited=rules)
        for url, static in (("/a.css?v=1", True), ("/live.css", False), ("/a", False)):
            self.assertIs(static, policy.static(url), url)

    def test_lists_add_up(self):
        policy = Policy(
            own=(Rule(ignore_query=("ref",)), Rule(paths=("/shop/*",), ignore_query=("tab",))),
            inherited=(Rule(ignore_query=("utm_*",)),),
        )
        url = "/shop/x?a=1&ref=m&utm_source=n&tab=2"
        self.assertEqual("/shop/x?a=1", policy.key_url(url))
        self.assertEqual("/y?a=1&tab=2", policy.key_url("/y?a=1&ref=m&tab=2"))

    def test_a_url_without_ignored_parameters_stays_as_sent(self):
        policy = Policy(own=(Rule(ignore_query=("utm_*",)),))
        for url in ("/", "/?", "/?&&a", "/x?a=1&=2", "/x?a=utm_b"):
            self.assertEqual(url, policy.key_url(url))
        self.assertEqual("/x", policy.key_url("/x?utm_a=1&utm_b"))
        self.assertEqual("/x?utm_a=1", Policy().key_url("/x?utm_a=1"))

    def test_consent_is_needed(self):
        rule = Rule(paths=("/api/*",), stale=True, ignore_query=("v",), origin="preset json-api")
        without = Policy(inherited=(rule,))
        (effective,) = without.effective()
        self.assertIsNone(effective.stale)
        self.assertEqual(("v",), effective.ignore_query)
        logins = Policy(inherited=(Rule(login_cookies=("sid",)),))
        self.assertEqual((), logins.effective()[0].login_cookies)
        self.assertEqual((rule,), without.rules())
        self.assertEqual((rule,), Policy(consent=(Consent.STALE,), inherited=(rule,)).effective())

    def test_the_first_rule_decides_about_writes_if_there_is_consent(self):
        rules = (Rule(paths=("/pay/*",), accept_writes=False), Rule(accept_writes=True))
        policy = Policy(consent=(Consent.WRITES,), own=rules)
        self.assertTrue(policy.accepts("/comment?a=1"))
        self.assertFalse(policy.accepts("/pay/1"))
        self.assertFalse(Policy(own=rules).accepts("/comment"))

    def test_pages_without_cookies_serve_users_with_cookies(self):
        rules = (
            Rule(paths=("/static/*",), static=True),
            Rule(paths=("/news/*",), login_cookies=("sid",)),
        )
        without = Policy(own=rules)
        consented = Policy(consent=(Consent.ANONYMOUS,), own=rules)
        self.assertTrue(without.ignores_cookies("/static/a.css"))
        self.assertFalse(without.ignores_cookies("/news/1"))
        self.assertTrue(consented.ignores_cookies("/news/1"))
        self.assertFalse(consented.ignores_cookies("/"))

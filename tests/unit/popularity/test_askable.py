"""Which URLs the agent may fetch."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model import secret
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.popularity import acting
from nova_cachemig.popularity.askable import Origin, Rules, Verdict, has_query, judge
from tests.unit.model.test_secret import SECRET
from tests.unit.popularity.test_acting import ACTS, READS

HASH = "5d41402abc4b2a76b9719d911017c592"


class JudgeTest(unittest.TestCase):
    def test_the_corpus(self):
        for url in ACTS:
            for origin in Origin:
                with self.subTest(url, origin=origin):
                    verdict = judge(url, origin, clients=99)
                    self.assertIn(verdict, {Verdict.ACTS, Verdict.SECRET})
        for url in SECRET:
            with self.subTest(url):
                self.assertIs(Verdict.SECRET, judge(url, clients=99))
                self.assertIs(Verdict.SECRET, judge(url, Origin.LINKED))
        for url in READS:
            with self.subTest(url):
                self.assertIs(Verdict.ASK, judge(url, clients=2))

    def test_a_query_needs_clients(self):
        for url in ("/list?page=2", "/list;page=2", "/?", "/a.png?w=300", "/a.pdf?v=1"):
            self.assertIs(Verdict.QUERY, judge(url), url)
            self.assertIs(Verdict.QUERY, judge(url, clients=1), url)
            self.assertIs(Verdict.QUERY, judge(url, Origin.LINKED), url)
            self.assertIs(Verdict.ASK, judge(url, clients=2), url)

    def test_files_with_a_version(self):
        for query in ("", "?ver=6.4.2", f"?v={HASH}", f"?{HASH}", "?1700000000", "?v=1&t=2"):
            for origin in Origin:
                self.assertIs(Verdict.ASK, judge(f"/app.js{query}", origin), query)
        url = f"/lib/exe/css.php?t=dokuwiki&tseed={HASH}"
        self.assertIs(Verdict.ASK, judge(url))
        url = "/w/load.php?lang=en&modules=startup%7Cjquery&only=scripts&raw=1&skin=vector"
        self.assertIs(Verdict.QUERY, judge(url))
        self.assertIs(Verdict.ASK, judge(url, Origin.EMBEDDED))

    def test_files_that_a_page_embeds(self):
        for url in (f"/img/{HASH}.png", f"/{HASH}/a.webp?w=300&h=200", f"/a.css?x={HASH}"):
            self.assertIs(Verdict.ASK, judge(url, Origin.EMBEDDED), url)
            self.assertIs(Verdict.SECRET, judge(url.replace("?", "/"), Origin.LINKED), url)
        self.assertIs(Verdict.SECRET, judge(f"/img/{HASH}.png"))
        self.assertIs(Verdict.ASK, judge(f"/js/app-{HASH}.js"))
        self.assertIs(Verdict.SECRET, judge(f"/private/{HASH}/app.js"))
        for url in ("/a.png?token=1", "/a.png?action=x", "/logout/a.png", "/cron.php?x=.png",
                    "/pixel?x=1", "/a.js?token=1", "/vote.php/a.png"):  # fmt: skip
            self.assertIsNot(Verdict.ASK, judge(url, Origin.EMBEDDED), url)
        self.assertIs(Verdict.ASK, judge("/js/add-to-cart.min.js?ver=1"))

    def test_the_rules_of_a_service(self):
        own = (Rule(("/mine*",), never=True), Rule(("/start",), never=False))
        inherited = (Rule(("/stop",), never=False), Rule(("/preset",), never=True))
        rules = Rules(Policy(own=own, inherited=inherited), frozenset({"beam"}), frozenset({"abo"}))
        for url, verdict in (
            ("/mine", Verdict.NEVER), ("/m%69ne/x", Verdict.NEVER), ("/preset", Verdict.NEVER),
            ("/start", Verdict.ASK), ("/start?page=2", Verdict.ASK), ("/start/5", Verdict.ACTS),
            ("/stop", Verdict.ACTS), ("/beam", Verdict.ACTS), ("/a?abo=1", Verdict.SECRET),
            ("/start?token=1", Verdict.SECRET),
        ):  # fmt: skip
            self.assertIs(verdict, judge(url, clients=2, rules=rules), url)

    @given(st.text(), st.sampled_from(list(Origin)), st.integers(0, 5))
    def test_nothing_is_fetched_that_acts_or_has_a_secret(self, text, origin, clients):
        url = "/" + text
        if judge(url, origin, clients=clients) is not Verdict.ASK:
            return
        self.assertIsNone(secret.find(url, random=False))
        name = url.partition("?")[0].rpartition("/")[2]
        self.assertTrue("." in name or not acting.acts(url))
        self.assertTrue(clients >= 2 or "." in name or not has_query(url))

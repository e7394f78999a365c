"""Reads by rule and by reason, and the bounds of their counts."""

import unittest

from nova_cachemig.model.policy import Rule
from nova_cachemig.model.reads import MAX_EXAMPLES, MAX_PAGES, Facts, ReadCounts, Reason, reason

RULES = (Rule(static=True, paths=("/s/*",)), Rule(script_cookies=("_ga",), origin="default"))
PAGE = Facts("page", "shielded", plain=2, shared=True)


class ReasonTest(unittest.TestCase):
    def test_the_strongest_reason_counts(self):
        for why, facts in {
            Reason.NEVER: Facts("read", "shielded", never=True, wrote=True),
            Reason.UNFIT: Facts("read", "shielded", shared=True, plain=2),
            Reason.WRITE: Facts("page", "replay", after_write=True, wrote=True),
            Reason.WRITER: Facts("page", "shielded", wrote=True, rule="static"),
            Reason.NOT_STORED: Facts("page", "shielded", rule="static"),
            Reason.PRIVATE: Facts("page", "shielded", plain=1),
            Reason.HEADER: Facts("page", "shielded", shared=True),
            Reason.DIFFERS: Facts("page", "shielded", shared=True, plain=2, proved=True),
            Reason.UNPROVED: PAGE,
        }.items():
            self.assertIs(why, reason(facts), facts)
        self.assertIs(Reason.NOT_STORED, reason(Facts("page", "shielded", anonymous=True)))


class ReadCountsTest(unittest.TestCase):
    def setUp(self):
        self.counts = ReadCounts(RULES)

    def add(self, facts, *, hit=False, held=False, url="/a?x=1"):
        self.counts.add(facts, hit=hit, held=held, host="shop.example", url=url)

    def test_each_rule_that_made_a_difference(self):
        static = Facts("page", "shielded", slot="static", rule="static", rules=(1, 2, 9))
        self.add(static, hit=True)
        self.add(static, held=True)
        self.add(Facts("page", "replay", rule="static", rules=(1,)))
        self.assertEqual(
            {
                "hits": {"static": 1},
                "held": {"not stored": 1},
                "asked": {"not stored": 1},
                "examples": {"not stored": ["/a"]},
                "rules": [
                    {"rule": 1, "origin": "service", "hits": 1, "held": 1, "asked": 1},
                    {"rule": 2, "origin": "default", "hits": 1, "held": 1},
                ],
            },
            self.counts.to_wire(),
        )
        self.counts.replace_rules(RULES)
        self.assertIn("rules", self.counts.to_wire())
        self.counts.replace_rules(RULES[:1])
        self.assertNotIn("rules", self.counts.to_wire())

    def test_writes_and_what_the_guest_answers_before_the_silence_do_not_count(self):
        self.add(Facts("write", "shielded"), held=True)
        self.add(Facts("page", "armed"))
        self.assertEqual({}, self.counts.to_wire())
        self.add(Facts("page", "armed", slot="warm"), hit=True)  # cut at the pause
        self.assertEqual({"hits": {"warm": 1}}, self.counts.to_wire())

    def test_the_warmer_says_why_a_page_has_no_proof(self):
        verdicts = {"/a": "changing", "/b": ""}
        for url in ("/a", "/a", "/b"):
            self.add(PAGE, held=True, url=url)
        self.counts.explain(lambda host, url: verdicts[url])
        self.assertEqual({"changing": 2, "unproved": 1}, self.counts.to_wire()["held"])
        self.counts.explain(lambda host, url: "changing")
        self.assertEqual({"changing": 2, "unproved": 1}, self.counts.to_wire()["held"])

    def test_any_number_of_urls_takes_bounded_memory(self):
        for number in range(5 * MAX_PAGES):
            self.add(PAGE, held=True, url=f"/{number}")
        asked = []
        self.counts.explain(lambda host, url: asked.append(url) or "changing")
        wire = self.counts.to_wire()
        self.assertEqual({"unproved": 4 * MAX_PAGES, "changing": MAX_PAGES}, wire["held"])
        self.assertEqual(MAX_PAGES, len(asked))
        self.assertEqual(MAX_EXAMPLES, len(wire["examples"]["changing"]))

    def test_examples_have_neither_queries_nor_secrets(self):
        self.add(Facts("page", "shielded"), held=True, url="/reset/9f8Kd0aQ7xZ2LmWv?token=s")
        self.assertEqual({"private": ["/reset/[cut]"]}, self.counts.to_wire()["examples"])

"""The entries of policies in the edge's map."""

import re
import unittest
from unittest import mock
from urllib.parse import unquote

from nova_cachemig.agent.engine import policies
from nova_cachemig.agent.engine.admin import command
from nova_cachemig.model.policy import Consent, Policy, Rule

RULE = Rule(
    paths=("/a/*", "*?b=c%20d"),
    never=False,
    static=True,
    stale=True,
    private=True,
    login_cookies=("sid",),
    script_cookies=("_ga*", "x'`|"),
    ignore_query=("utm_*",),
    neutral_headers=("x-real-ip",),
    identifying_headers=("x-member",),
)


def text_of(entries, service):
    name, _, number = entries[service].partition(":")
    return unquote("".join(entries[f"{name}:{n}"] for n in range(1, int(number) + 1)))


class EntriesTest(unittest.TestCase):
    def test_a_line_for_each_rule(self):
        policy = Policy(consent=tuple(Consent), own=(RULE,), inherited=(Rule(never=True),))
        lines = text_of(policies.entries({"s": policy}), "s").split("\n")
        self.assertEqual(
            "/a/* *?b=c%20d\t0\t1\t1\tsid\t_ga* x'`|\tutm_*\tx-real-ip\tx-member\t1\tsid", lines[0]
        )
        self.assertEqual("\t1\t\t\t\t\t\t\t\t\t", lines[1])

    def test_what_lacks_consent_has_no_effect(self):
        lines = text_of(policies.entries({"s": Policy(inherited=(RULE,))}), "s")
        self.assertIn("\t0\t1\t\t\t_ga*", lines)
        self.assertTrue(lines.endswith("x-member\t\t"), lines)

    def test_private_pages_need_the_names_of_the_cookies_only(self):
        for consent, names in ((Consent.PRIVATE, "\t1\tsid"), (Consent.ANONYMOUS, "\t\t")):
            policy = Policy(consent=(consent,), inherited=(RULE,))
            lines = text_of(policies.entries({"s": policy}), "s")
            self.assertTrue(lines.endswith("x-member" + names), lines)
            self.assertIn("\t\t\t_ga*" if consent is Consent.PRIVATE else "\tsid\t_ga*", lines)

    def test_equal_policies_are_there_once(self):
        policy = Policy(inherited=(RULE,))
        entries = policies.entries({"a": policy, "b": policy, "none": Policy()})
        self.assertEqual(3, len(entries))
        self.assertEqual(entries["a"], entries["b"])

    def test_an_equal_policy_is_computed_once(self):
        equal = [Policy(own=(Rule(paths=("/a/*",)),)) for _ in range(5)]
        with mock.patch.object(Policy, "effective", autospec=True, return_value=()) as effective:
            policies.entries({str(number): one for number, one in enumerate(equal)})
        self.assertEqual(1, effective.call_count)

    def test_a_large_policy_has_several_parts_before_its_service(self):
        rule = Rule(paths=tuple(f"/{'%C3%A9' * 20}/{n}" for n in range(64)), never=True)
        entries = policies.entries({"s": Policy(own=(rule,))})
        self.assertEqual("s", list(entries)[-1])
        self.assertGreater(len(entries), 2)
        self.assertTrue(all(len(part) <= policies.CHUNK for part in entries.values()))
        self.assertTrue(text_of(entries, "s").startswith("/%C3%A9%C3%A9"))

    def test_each_character_of_a_glob_is_one_for_the_admin_socket(self):
        printable = "".join(map(chr, range(0x21, 0x7F)))
        entries = policies.entries({"s": Policy(own=(Rule(paths=(printable,), never=True),))})
        for key, value in entries.items():
            self.assertTrue(re.search(r" \S+ \S+$", command("add", "map", "m", key, value)))
        self.assertEqual(f"{printable}\t1\t\t\t\t\t\t\t\t\t", text_of(entries, "s"))

"""A proposal as primitives, and as YAML that a service's file can have."""

import unittest

import yaml

from nova_cachemig.agent.services import policy, presets
from nova_cachemig.agent.services.proposal import proposed
from nova_cachemig.popularity.sampling import Seen
from nova_cachemig.report.proposal import proposal_text

SAMPLE = [
    *[Seen("GET", "/wp-content/themes/a.css", 200, ("wordpress_sec_1",))] * 10,
    *[Seen("GET", "/assets/a.js", 200, ("sid", "odd"))] * 10,
    *[Seen("GET", "/", 200, ("odd",))] * 20,
    *[Seen("GET", "/my", 200, ("sid",))] * 10,
]
PRESENT = {"presets": ["static"], "rules": [{"paths": ["/old/*"], "never": True}]}


class ProposalTest(unittest.TestCase):
    def text(self, present=None, sample=SAMPLE, **options):
        found = proposed(policy.policy(present or {}, presets.load()), 0.0, sample)
        return proposal_text("shop", found, **options)

    def parsed(self, text):
        entry = yaml.safe_load(text)["policy"]
        return entry, policy.policy(entry, presets.load())

    def test_the_safe_part_is_a_policy_and_the_rest_in_comments(self):
        text = self.text(consent=False)
        entry, parsed = self.parsed(text)
        rules = [{"paths": ["/assets/*.js"], "static": True}]
        self.assertEqual({"presets": ["wordpress"], "rules": rules}, entry)
        self.assertEqual((), parsed.consent)
        self.assertIn("    # +10 reads (20 %): style sheets, scripts and fonts", text)
        self.assertIn("#   +20 reads (40 %): users without a login", text)
        self.assertIn("#   - login_cookies: [sid]", text)
        self.assertIn("odd (40 %)", text)

    def test_with_consent_all_of_it_is_a_policy(self):
        text = self.text(consent=True)
        entry, parsed = self.parsed(text)
        self.assertEqual(["anonymous", "private"], entry["consent"])
        self.assertIn({"login_cookies": ["sid"]}, entry["rules"])
        self.assertNotIn("#   -", text)
        later = proposed(parsed, 0.0, SAMPLE)
        self.assertEqual([], later["steps"])

    def test_the_present_policy_is_a_part_of_it(self):
        entry, _ = self.parsed(self.text(PRESENT | {"defaults": False}, consent=False))
        self.assertEqual((["static", "wordpress"], False), (entry["presets"], entry["defaults"]))
        self.assertEqual(PRESENT["rules"][0], entry["rules"][0])

    def test_without_anything_to_add(self):
        text = self.text(sample=[Seen("GET", "/", 200, ())], consent=False)
        self.assertEqual({"policy": {}}, yaml.safe_load(text))
        self.assertIsNone(yaml.safe_load(self.text(sample=[], consent=False)))

"""Proposed rules and their gains."""

import unittest

from nova_cachemig.agent.services import presets
from nova_cachemig.model.policy import Consent, Policy, Rule
from nova_cachemig.popularity.learning import propose
from nova_cachemig.popularity.sampling import Seen

PRESETS = presets.load()
DEFAULT = Policy(inherited=PRESETS["default"])


def reads(number, url, *cookies, method="GET", status=200):
    return [Seen(method, url, status, cookies)] * number


class LearningTest(unittest.TestCase):
    def propose(self, *groups, policy=DEFAULT):
        return propose([one for group in groups for one in group], policy, PRESETS)

    def test_what_is_shared_already_needs_no_rule(self):
        found = self.propose(reads(10, "/a"), reads(5, "/b", "_ga"), reads(2, "/c", method="POST"))
        self.assertEqual((17, 15, 15), (found.requests, found.reads, found.shared))
        self.assertEqual(((), ()), (found.steps, found.unknown_cookies))

    def test_static_files_and_their_gain(self):
        found = self.propose(
            reads(30, "/app/x.css?v=1", "pref"),
            reads(10, "/app/y.js", "pref"),
            reads(7, "/img/z.png", "pref"),
            reads(5, "/app/y.js"),
        )
        (step,) = found.steps
        self.assertEqual(5, found.shared)
        self.assertEqual(Rule(paths=("/app/*.css", "/app/*.js"), static=True), step.rule)
        self.assertEqual((40, None), (step.gain, step.consent))
        self.assertEqual((("pref", 7),), found.unknown_cookies)

    def test_an_application_and_then_what_its_preset_lacks(self):
        found = self.propose(
            reads(20, "/wp-content/themes/a/style.css?ver=1", "wordpress_logged_in_x"),
            reads(10, "/", "wordpress_test"),
            reads(4, "/my", "wordpress_logged_in_x"),
        )
        first, second, third = found.steps
        self.assertEqual(("wordpress", 20, None), (first.preset, first.gain, first.consent))
        self.assertEqual((10, Consent.ANONYMOUS), (second.gain, second.consent))
        self.assertEqual((4, Consent.PRIVATE), (third.gain, third.consent))
        self.assertEqual((None, None), (second.rule, third.rule))  # the preset has them
        again = Policy(
            presets=("wordpress",), inherited=(*PRESETS["wordpress"], *DEFAULT.inherited)
        )
        kept = self.propose(reads(9, "/wp-content/themes/a.css", "x"), policy=again)
        self.assertEqual((9, ()), (kept.shared, kept.steps))

    def test_cookies_of_a_login_need_consent(self):
        found = self.propose(reads(20, "/", "theme"), reads(8, "/", "theme", "shop_session"))
        anonymous, private = found.steps
        self.assertEqual(Rule(login_cookies=("shop_session",)), anonymous.rule)
        self.assertEqual((20, Consent.ANONYMOUS), (anonymous.gain, anonymous.consent))
        self.assertEqual((Rule(private=True), 8), (private.rule, private.gain))

    def test_cookies_of_scripts_and_parameters_of_campaigns(self):
        found = self.propose(
            reads(6, "/", "_ym_uid"),
            *(reads(1, f"/a?mc_eid={number}&p=1") for number in range(5)),
            policy=Policy(),
        )
        scripts, campaigns = found.steps
        self.assertEqual((Rule(script_cookies=("_ym_*",)), 6), (scripts.rule, scripts.gain))
        self.assertEqual((Rule(ignore_query=("mc_eid",)), 4), (campaigns.rule, campaigns.gain))

    def test_paths_that_act_are_never_shared(self):
        found = self.propose(reads(3, "/cart/delete?id=1"), reads(3, "/a"))
        (step,) = found.steps
        self.assertEqual((Rule(paths=("/cart/delete",), never=True), 0), (step.rule, step.gain))

    def test_hostile_names_and_paths_get_into_no_rule(self):
        found = self.propose(
            reads(9, "/a b*/x.css", "session*"),
            reads(9, "/delete/%0a*", "auth\n"),
            reads(9, "/x", "*"),
        )
        self.assertEqual([], [step for step in found.steps if step.rule])
        self.assertEqual((), found.unknown_cookies)

    def test_an_empty_sample(self):
        self.assertEqual(
            (0, 0, ()), (self.propose().reads, self.propose().shared, self.propose().steps)
        )

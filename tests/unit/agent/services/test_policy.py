"""Policies in services files: valid ones, and the errors of invalid ones."""

import unittest

from nova_cachemig.agent.services import policy, presets, schema
from nova_cachemig.model.policy import Consent

ENTRY = {
    "name": "shop",
    "instance": "4f6b9b8c-0d4e-4a52-8f6f-3f1f2b7f5a10",
    "port": 80,
    "listen": "192.0.2.1:80",
}


def parse(**fields):
    return schema.parse_entry(ENTRY | {"policy": fields})


class PolicyTest(unittest.TestCase):
    def test_own_rules_come_first_then_presets_then_the_default(self):
        service, errors = parse(
            presets=["wordpress", "static"], rules=[{"paths": ["/x/*"], "never": True}]
        )
        self.assertEqual([], errors)
        origins = list(dict.fromkeys(rule.origin for rule in service.policy.rules()))
        self.assertEqual(["service", "preset wordpress", "preset static", "default"], origins)
        self.assertTrue(service.policy.never("/x/y"))
        self.assertTrue(service.policy.never("/wp-admin/post.php?post=7"))
        self.assertFalse(service.policy.never("/2026/hello/"))

    def test_without_a_policy_the_default_applies(self):
        service, _ = schema.parse_entry(ENTRY)
        self.assertEqual({"default"}, {rule.origin for rule in service.policy.rules()})
        self.assertEqual("/a?b=1", service.policy.key_url("/a?utm_source=x&b=1&gclid=2"))
        self.assertNotIn("policy", schema.to_entry(service))

    def test_defaults_can_be_left_out(self):
        service, _ = parse(defaults=False)
        self.assertEqual((), service.policy.rules())
        self.assertEqual({"defaults": False}, schema.to_entry(service)["policy"])

    def test_round_trip(self):
        entry = {
            "presets": ["json-api"],
            "consent": ["stale", "private"],
            "rules": [
                {"paths": ["/old/*"], "stale": True, "never": False},
                {"script_cookies": ["ab_*"], "ignore_query": ["ref"]},
                {"paths": ["/files/*"], "static": True},
                {"private": True, "login_cookies": ["sid"]},
            ],
        }
        service, errors = parse(**entry)
        self.assertEqual([], errors)
        self.assertEqual((Consent.STALE, Consent.PRIVATE), service.policy.consent)
        self.assertEqual(entry, schema.to_entry(service)["policy"])
        self.assertEqual((service, []), schema.parse_entry(schema.to_entry(service)))

    def test_each_error_says_what_where_and_what_is_right(self):
        cases = {
            "policy.presets: no preset is named 'wordpres'; there are: django": {
                "presets": ["wordpres"]
            },
            "policy.rules[0].stale needs the consent of the service's owner: add stale to": {
                "rules": [{"paths": ["/a"], "stale": True}]
            },
            "policy.rules[0].login_cookies needs the consent of the service's owner: add anony": {
                "rules": [{"login_cookies": ["sid"]}]
            },
            "policy.rules[0].private needs the consent of the service's owner: add private to": {
                "rules": [{"paths": ["/my/*"], "private": True}]
            },
            "policy.rules[0].accept_writes needs the consent of the service's owner: add writes ": {
                "rules": [{"accept_writes": True}]
            },
            "policy.rules[1]: says nothing: name one of never": {
                "rules": [{"never": True}, {"paths": ["/a"]}]
            },
            "policy.rules[0]: static needs paths": {"rules": [{"static": True}]},
            "policy.rules[0]: unknown field nevre; the fields: paths, never": {
                "rules": [{"nevre": True}]
            },
            "policy: unknown field preset; the fields: presets, consent": {"preset": ["php"]},
            "policy.rules[0].paths[0]: 'admin' is not valid; expected: a list of 1 to 64 paths": {
                "rules": [{"paths": ["admin"], "never": True}]
            },
            "policy.consent[0]: 'all' is not valid; expected: a list of anonymous, private, ": {
                "consent": ["all"]
            },
            "policy.rules[0].ignore_query[0]: 'a=b' is not valid": {
                "rules": [{"ignore_query": ["a=b"]}]
            },
        }
        for expected, fields in cases.items():
            with self.subTest(expected):
                service, errors = parse(**fields)
                self.assertIsNone(service)
                self.assertTrue(errors[0].startswith(expected), errors)

    def test_sizes_are_bounded(self):
        long = ["/" + "x" * 100] * 50
        for fields in (
            {"rules": [{"never": True}] * 65},
            {"rules": [{"paths": ["/a"] * 65, "never": True}]},
            {"rules": [{"paths": ["/" + "a" * 256], "never": True}]},
            {"rules": [{"paths": [], "never": True}]},
            {"rules": [{"paths": ["/a\n"], "never": True}]},
            {"rules": [{"script_cookies": ["a b"]}]},
        ):
            self.assertTrue(parse(**fields)[1], fields)
        errors = parse(rules=[{"paths": long, "never": True}] * 5)[1]
        self.assertEqual(1, len(errors))
        self.assertRegex(errors[0], r"^policy: its globs have 2\d,\d{3} characters, at most 16,384")
        self.assertEqual([], parse(rules=[{"paths": long, "never": True}] * 3)[1])


class PresetsTest(unittest.TestCase):
    def test_each_preset_is_valid_as_rules_of_a_service(self):
        for name, rules in presets.load().items():
            with self.subTest(name):
                entries = [policy.rule_entry(rule) for rule in rules]
                service, errors = parse(
                    consent=["stale", "anonymous", "private"], defaults=False, rules=entries
                )
                self.assertEqual([], errors)
                self.assertEqual(len(rules), len(service.policy.own))

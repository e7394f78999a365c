"""The rules: documented, for tokens of a project, and with paths that the API has."""

from __future__ import annotations

import unittest
from importlib import metadata

from oslo_policy import policy

from nova_cachemig.api import policies
from nova_cachemig.api.calls import CALLS


class PoliciesTest(unittest.TestCase):
    def test_every_rule_names_calls_of_the_api(self) -> None:
        known = {(call.method, call.path) for call in CALLS}
        for rule in policies.list_rules():
            if isinstance(rule, policy.DocumentedRuleDefault):
                self.assertEqual(["project"], rule.scope_types)
                for one in rule.operations:
                    path = str(one["path"]).partition(" ")[0]
                    self.assertIn((one["method"], path), known, rule.name)

    def test_only_administrators_see_all_projects_and_details(self) -> None:
        defaults = {rule.name: rule.check_str for rule in policies.list_rules()}
        for name, default in defaults.items():
            if name.endswith((":details", ":all_projects")):
                self.assertEqual(policies.ADMIN, default)

    def test_the_sample_generator_finds_them(self) -> None:
        (found,) = metadata.entry_points(group="oslo.policy.policies", name="nova-cachemig")
        self.assertEqual(policies.list_rules(), found.load()())

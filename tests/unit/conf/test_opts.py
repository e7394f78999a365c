"""The sample generator lists every group once, and a help text for every option."""

from __future__ import annotations

import unittest

from nova_cachemig.conf import gnocchi, nova, opts


class OptsTest(unittest.TestCase):
    def test_each_group_belongs_to_one_file(self) -> None:
        agent = [str(group) for group, _ in opts.list_agent_opts()]
        in_nova = [str(group) for group, _ in opts.list_nova_opts()]
        self.assertEqual(["cachemig", "cachemig_announce", "cachemig_scheduler"], sorted(in_nova))
        self.assertEqual(sorted(set(agent)), sorted(agent))
        self.assertEqual(set(), set(agent) & set(in_nova))

    def test_every_option_has_help_in_sentences(self) -> None:
        for group, options in opts.list_agent_opts() + opts.list_nova_opts():
            for option in options:
                if group.name in {"nova", "gnocchi"} and option not in nova.OPTS + gnocchi.OPTS:
                    continue  # keystoneauth1's
                with self.subTest(f"[{group}] {option.name}"):
                    self.assertRegex(option.help or "", r"(?s)^[A-Z0-9'].*\.$|^'METRIC")

    def test_every_default_is_valid(self) -> None:
        for group, options in opts.list_agent_opts() + opts.list_nova_opts():
            for option in options:
                if option.default is not None and not option.multi:
                    with self.subTest(f"[{group}] {option.name}"):
                        self.assertIsNotNone(option.type(option.default))

import json
from unittest import mock

from nova_cachemig.cmd.manage.agent import Show
from nova_cachemig.cmd.manage.app import ManageApp
from tests.unit.cmd.manage.case import ManageCase


class ShowTest(ManageCase):
    def test_the_ping_is_shown(self) -> None:
        self.serve()
        shown = json.loads(self.succeeds("agent", "show", "-f", "json"))
        self.assertEqual(("cache1", "1"), (shown["host"], shown["version"]))
        self.assertEqual(shown["faults"], "")
        self.assertEqual(shown["service_errors"], "")

    def test_faults_and_errors_are_sentences(self) -> None:
        pong = {
            "host": "cache1",
            "faults": {"cannot listen": 2},
            "service_errors": ["x", "y"],
            "unreachable": ["dark", "shop"],
        }
        self.serve()
        with mock.patch.object(self.endpoint, "ping", return_value=pong):
            shown = json.loads(self.succeeds("agent", "show", "-f", "json"))
        self.assertEqual(("cannot listen: 2", "x; y"), (shown["faults"], shown["service_errors"]))
        self.assertEqual("dark, shop", shown["unreachable"])

    def test_without_an_agent_there_is_nothing_to_show(self) -> None:
        self.assertIn("leave --offline out", self.refuses("--offline", "agent", "show"))

    def test_its_help_says_that_offline_does_not_apply(self) -> None:
        shown = self.succeeds("agent", "show", "--help")
        self.assertIn("refuses --offline", " ".join(shown.split()))

    def test_it_is_a_command_of_the_program(self) -> None:
        found, _, _ = ManageApp().command_manager.find_command(["agent", "show"])
        self.assertIs(Show, found)

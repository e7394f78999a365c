import json

from nova_cachemig.cmd.manage.agent import Show
from nova_cachemig.cmd.manage.app import ManageApp
from tests.unit.cmd.manage.case import ManageCase


class ShowTest(ManageCase):
    def test_the_ping_is_shown(self) -> None:
        self.serve()
        shown = json.loads(self.succeeds("agent", "show", "-f", "json"))
        self.assertEqual(("cache1", "1"), (shown["host"], shown["version"]))
        self.assertEqual(shown["faults"], "")

    def test_without_an_agent_there_is_nothing_to_show(self) -> None:
        self.assertIn("leave --offline out", self.fails("--offline", "agent", "show"))

    def test_it_is_a_command_of_the_program(self) -> None:
        found, _, _ = ManageApp().command_manager.find_command(["agent", "show"])
        self.assertIs(Show, found)

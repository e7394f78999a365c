import dataclasses

from nova_cachemig.model.handover import HandoverId
from tests.unit.cmd.manage.case import ManageCase
from tests.unit.rpc.endpoints import RECORD


class UnreachableTest(ManageCase):
    def test_one_sentence_says_what_to_check(self) -> None:
        [line] = self.fails("--timeout", "0.2", "handover", "list").splitlines()
        self.assertTrue(line.startswith("nova-cachemig-manage: agent cache1 does not respond"))
        for part in (self.topic, "transport_url", "nova-cachemig-agent runs", "--offline"):
            self.assertIn(part, line)

    def test_a_bus_that_is_down_is_not_reported_as_an_agent_that_is_down(self) -> None:
        text = self.config.read_text()
        self.config.write_text(text.replace("fake://", "rabbit://a:secret@127.0.0.1:1/"))
        [line] = self.fails("--timeout", "0.2", "handover", "list").splitlines()
        self.assertIn("the message bus cannot be reached (127.0.0.1:1: Connection refused)", line)
        self.assertNotIn("nova-cachemig-agent runs", line)
        self.assertNotIn("secret", line)

    def test_the_agent_that_is_named_is_the_one_that_is_asked(self) -> None:
        self.serve()
        words = ("--timeout", "0.3", "--agent", "cache2", "handover", "list")
        self.assertIn("agent cache2 does not respond", self.fails(*words))


class PagesTest(ManageCase):
    def test_more_handovers_than_a_page(self) -> None:
        self.serve()
        self.endpoint.records = [
            dataclasses.replace(RECORD, id=HandoverId("uuid-1", f"req-{n}")) for n in range(250)
        ]
        out = self.succeeds("handover", "list", "--limit", "220", "-f", "value", "-c", "Request")
        self.assertEqual([f"req-{n}" for n in range(220)], out.split())
        asked = [what[1:] for what in self.endpoint.received if what[0] == "handovers"]
        self.assertEqual([(100, 0), (100, 100), (20, 200)], asked)

    def test_fewer_than_wanted(self) -> None:
        self.serve()
        out = self.succeeds("handover", "list", "-f", "value", "-c", "Request")
        self.assertEqual(["req-1"], out.split())

import dataclasses
import json

from nova_cachemig.model.handover import HandoverId
from tests.unit.cmd.manage.case import UUID, ManageCase


class HandoverTest(ManageCase):
    def test_show_as_a_table_and_as_the_whole_record(self) -> None:
        self.serve()
        record = dataclasses.replace(
            self.endpoint.records[0], id=HandoverId(UUID, "req-1"), counts={"in_doubt": 3}
        )
        self.endpoint.records = [record]
        table = self.succeeds("handover", "show", UUID)
        self.assertRegex(table, r"Request +\| req-1 ")
        self.assertRegex(table, r"In doubt +\| 3 ")
        shown = json.loads(self.succeeds("handover", "show", UUID, "req-1", "-f", "json"))
        self.assertEqual({"instance": UUID, "request": "req-1"}, shown["id"])
        self.assertIn("phases", shown)

    def test_one_that_is_not_known_is_a_sentence(self) -> None:
        self.serve()
        for words in ((UUID,), (UUID, "req-9")):
            self.assertIn("has no known handover", self.fails("handover", "show", *words))

    def test_a_limit_out_of_bounds_is_refused(self) -> None:
        err = self.refuses("handover", "list", "--limit", "0")
        self.assertIn("--limit: '0' is not a whole number from 1 to 1000", err)

    def test_what_is_not_an_instance_is_refused_before_anything_is_read(self) -> None:
        self.config.unlink()
        self.assertIn("'abc' is not a UUID", self.refuses("handover", "show", "abc"))

    def test_offline_without_a_journal_is_a_sentence(self) -> None:
        self.assertIn("no journal", self.fails("--offline", "handover", "list"))

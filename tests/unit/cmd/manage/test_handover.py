import dataclasses
import json

from tests.unit.cmd.manage.case import ManageCase


class HandoverTest(ManageCase):
    def test_show_as_a_table_and_as_the_whole_record(self) -> None:
        self.serve()
        record = dataclasses.replace(self.endpoint.records[0], counts={"in_doubt": 3})
        self.endpoint.records = [record]
        table = self.succeeds("handover", "show", "uuid-1")
        self.assertRegex(table, r"Request +\| req-1 ")
        self.assertRegex(table, r"In doubt +\| 3 ")
        shown = json.loads(self.succeeds("handover", "show", "uuid-1", "req-1", "-f", "json"))
        self.assertEqual({"instance": "uuid-1", "request": "req-1"}, shown["id"])
        self.assertIn("phases", shown)

    def test_one_that_is_not_known_is_a_sentence(self) -> None:
        self.serve()
        for words in (("uuid-2",), ("uuid-1", "req-9")):
            self.assertIn("has no known handover", self.fails("handover", "show", *words))

    def test_a_limit_out_of_bounds_is_refused(self) -> None:
        code, _, err = self.manage("handover", "list", "--limit", "0")
        self.assertEqual(2, code)
        self.assertIn("between 1 and 1000", err)

    def test_offline_without_a_journal_is_a_sentence(self) -> None:
        self.assertIn("no journal", self.fails("--offline", "handover", "list"))

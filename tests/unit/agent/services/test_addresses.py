"""The address book on disk."""

import json
import os
import pathlib
import tempfile
import unittest
from unittest import mock

from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.model.service import Route, Target
from tests.unit.agent.services.test_files import service
from tests.unit.agent.services.test_schema import UUID


class AddressBookTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = pathlib.Path(folder.name) / "addresses.json"
        self.book = AddressBook(self.path)

    def test_a_saved_address_is_found_also_by_the_next_agent(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        self.assertEqual("10.0.0.5", AddressBook(self.path).find(service()))

    def test_the_address_of_another_instance_is_not_used(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        other = service(instance="00000000-0000-4000-8000-000000000000")
        self.assertIsNone(self.book.find(other))

    def test_an_address_that_was_found_in_another_way_is_not_used(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        self.assertIsNone(self.book.find(service(floating=True)))
        self.assertIsNone(self.book.find(service(network="n")))

    def test_the_port_and_a_doubt_are_kept(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80), "fa:16:3e:00:00:01")], {"shop"})
        self.assertEqual("fa:16:3e:00:00:01", AddressBook(self.path).mac(service()))
        self.assertFalse(self.book.in_doubt(service()))
        self.book.save([Route(service(), None), Route(service(name="b"), None)], {"shop"})
        again = AddressBook(self.path)
        self.assertEqual(
            (True, False), (again.in_doubt(service()), again.in_doubt(service(name="b")))
        )
        self.assertIsNone(again.find(service()))
        other = service(instance="00000000-0000-4000-8000-000000000000")
        self.assertFalse(again.in_doubt(other))

    def test_the_file_is_parsed_once_after_each_change(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        with mock.patch.object(json, "loads", wraps=json.loads) as loads:
            for _ in range(3):
                self.assertEqual("10.0.0.5", self.book.find(service()))
            self.assertEqual(1, loads.call_count)
            self.book.save([Route(service(), Target("10.0.0.66", 80))])
            self.assertEqual("10.0.0.66", self.book.find(service()))

    def test_many_questions_in_a_row_look_at_the_file_once(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        with mock.patch.object(pathlib.Path, "stat", autospec=True, side_effect=os.stat) as looks:
            with self.book.fixed():
                for _ in range(3):
                    self.assertEqual("10.0.0.5", self.book.find(service()))
            self.assertEqual(1, looks.call_count)
        self.book.save([Route(service(), Target("10.0.0.66", 80))])
        self.assertEqual("10.0.0.66", self.book.find(service()))

    def test_an_entry_of_an_earlier_version_is_used(self):
        self.path.write_text(f'{{"shop": {{"instance": "{UUID}", "address": "10.0.0.5"}}}}')
        self.assertEqual("10.0.0.5", self.book.find(service(network="n")))

    def test_saving_replaces_all_addresses(self):
        self.book.save([Route(service(), Target("10.0.0.5", 80))])
        self.book.save([Route(service(name="b"), Target("10.0.0.6", 80)), Route(service(), None)])
        self.assertIsNone(self.book.find(service()))
        self.assertEqual("10.0.0.6", self.book.find(service(name="b")))

    def test_no_file_is_empty(self):
        self.assertIsNone(self.book.find(service()))

    def test_a_damaged_file_is_reported_and_empty(self):
        self.path.write_text("{")
        with self.assertLogs("nova_cachemig.agent.services.addresses", "ERROR"):
            self.assertIsNone(self.book.find(service()))
        for text in ("[]", '{"shop": 1}', '{"shop": {}}'):
            self.path.write_text(text)
            self.assertIsNone(self.book.find(service()))

    def test_an_unwritable_file_is_reported(self):
        with self.assertLogs("nova_cachemig.agent.services.addresses", "ERROR") as logs:
            AddressBook(self.path / "no" / "file").save([])
        self.assertIn("were not saved", logs.output[0])

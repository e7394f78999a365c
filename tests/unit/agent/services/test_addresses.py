"""The address book on disk."""

import pathlib
import tempfile
import unittest

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

"""The limits of connections."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine import capacity
from nova_cachemig.agent.ports import ComponentError


class ForClients(unittest.TestCase):
    def test_zero_chooses_the_most_that_the_files_allow(self) -> None:
        self.assertEqual(3283, capacity.for_clients(0, 20000).clients)
        self.assertEqual(capacity.MAX_CLIENTS, capacity.for_clients(0, 10**6).clients)

    def test_a_number_that_the_files_allow_is_kept(self) -> None:
        found = capacity.for_clients(100, 20000)
        self.assertEqual((100, 10, 410), (found.clients, found.refused, found.connections))

    def test_every_client_has_its_files(self) -> None:
        for files in (360, 1024, 4096, 65536):
            clients = capacity.for_clients(0, files).clients
            used = clients * capacity.FILES_PER_CLIENT + capacity.SPARE_FILES
            self.assertLessEqual(used, files)

    def test_too_many_clients_or_too_few_files_are_refused(self) -> None:
        with self.assertRaisesRegex(ComponentError, "max_clients = 5000 needs 30300 open files"):
            capacity.for_clients(5000, 20000)
        with self.assertRaisesRegex(ComponentError, "too low"):
            capacity.for_clients(0, 256)

    def test_the_limit_of_this_process_is_a_number(self) -> None:
        self.assertGreater(capacity.open_file_limit(), 0)

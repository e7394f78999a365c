"""The limits of connections."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine import capacity
from nova_cachemig.agent.ports import ComponentError


class ForClients(unittest.TestCase):
    def test_zero_chooses_the_most_that_the_files_allow(self) -> None:
        self.assertEqual(3261, capacity.for_clients(0, 20000).clients)
        self.assertEqual(capacity.MAX_CLIENTS, capacity.for_clients(0, 10**6).clients)

    def test_a_number_that_the_files_allow_is_kept(self) -> None:
        found = capacity.for_clients(100, 20000)
        self.assertEqual((100, 10, 410), (found.clients, found.refused, found.connections))

    def test_every_client_has_its_files(self) -> None:
        for files in (380, 1024, 4096, 20000, 65536):
            used = 2 * capacity.for_clients(0, files).connections + 100
            self.assertLessEqual(used, files)

    def test_too_many_clients_or_too_few_files_are_refused(self) -> None:
        with self.assertRaisesRegex(ComponentError, "max_clients = 5000 needs 30500 open files"):
            capacity.for_clients(5000, 20000)
        with self.assertRaisesRegex(ComponentError, "too low"):
            capacity.for_clients(0, 256)

    def test_each_front_address_takes_a_file(self) -> None:
        found = capacity.for_clients(0, 20000, 5000)
        self.assertEqual(2433, found.clients + found.reserved + 1)
        with self.assertRaisesRegex(ComponentError, "needs 24024 open files"):
            capacity.for_clients(3100, 20000, 5000)

    def test_several_addresses_have_a_share_and_a_reserve(self) -> None:
        found = capacity.for_clients(100, 20000, 4)
        self.assertEqual((100, 25, 25), (found.clients, found.reserved, found.share))
        self.assertEqual(3 * 125 + 10 + 100, found.connections)
        alone = capacity.for_clients(100, 20000, 1)
        self.assertEqual((100, 0, 100), (alone.clients, alone.reserved, alone.share))

    def test_the_reserve_takes_nothing_from_a_number_that_the_operator_has_set(self) -> None:
        found = capacity.for_clients(3200, 20000, 2)
        self.assertEqual((3200, 61), (found.clients, found.reserved))

    def test_the_limit_of_this_process_is_a_number(self) -> None:
        self.assertGreater(capacity.open_file_limit(), 0)


class Surplus(unittest.TestCase):
    BINDS = tuple(f"127.0.0.{n}:80" for n in range(1, 101))

    def test_addresses_that_fit(self) -> None:
        self.assertEqual({}, capacity.surplus(self.BINDS, set(), 100, 1020))

    def test_those_that_are_served_stay(self) -> None:
        served = set(self.BINDS[-10:])
        found = capacity.surplus(self.BINDS, served, 100, 960)
        self.assertEqual(set(self.BINDS[30:90]), set(found))
        why = found[self.BINDS[30]]
        self.assertIn("100 front addresses and 100 clients need 1020 open files", why)
        self.assertIn("so only 40 addresses are served", why)

    def test_what_is_left_is_accepted_by_the_limits_of_connections(self) -> None:
        for max_clients in (0, 50):
            for files in (400, 1000, 20000):
                binds = [f"10.0.{n // 256}.{n % 256}:80" for n in range(20000)]
                left = len(binds) - len(capacity.surplus(binds, set(), max_clients, files))
                if left:
                    found = capacity.for_clients(max_clients, files, left)
                    self.assertLess(2 * found.connections + left, files)

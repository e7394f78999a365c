from __future__ import annotations

import random
import unittest

from tools.measurement.clients import Clients


def crowd(count: int, writers: int = 0, impatient: float = 0.0) -> Clients:
    return Clients(count, writers, impatient, ["a", "b"], random.Random(1))


class ClientsTest(unittest.TestCase):
    def test_addresses_in_turn(self) -> None:
        self.assertEqual(["a", "b", "a"], [client.source for client in crowd(3).everybody])

    def test_writers_only_write(self) -> None:
        clients = crowd(10, writers=3)
        asked = {read: {clients.choose(read=read).index for _ in range(200)} for read in (0, 1)}
        self.assertEqual({False: {0, 1, 2}, True: {3, 4, 5, 6, 7, 8, 9}}, asked)

    def test_all_do_both(self) -> None:
        clients = crowd(3)
        self.assertEqual({0, 1, 2}, {clients.choose(read=False).index for _ in range(100)})
        self.assertEqual({0, 1, 2}, {clients.choose(read=True).index for _ in range(100)})

    def test_others_come_where_all_wait(self) -> None:
        clients = crowd(4, writers=2)
        for client in clients.everybody[:2]:
            client.writes_pending = 1
        came = clients.choose(read=False)
        self.assertEqual((4, "a", 5), (came.index, came.source, len(clients.everybody)))
        self.assertEqual({4}, {clients.choose(read=False).index for _ in range(5)} & {0, 1, 4})

    def test_new_clients_and_other_clients_share_no_address(self) -> None:
        clients = Clients(4, 2, 0.0, ["a", "b", "c", "d", "e"], random.Random(1))
        for client in clients.everybody:
            client.writes_pending = 1
        came = []
        for _ in range(20):
            came.append(clients.choose(read=False))
            came[-1].writes_pending = 1
        self.assertEqual("e", came[0].source)
        self.assertEqual({"a", "b", "e"}, {client.source for client in came})

    def test_the_impatient_do_not_wait(self) -> None:
        clients = crowd(2, impatient=1.0)
        for client in clients.everybody:
            client.writes_pending = 1
        self.assertIn(clients.choose(read=True).index, {0, 1})
        self.assertEqual(2, len(clients.everybody))

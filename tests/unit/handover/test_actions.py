import unittest

from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.table import TABLE, Row


def actions(row: Row) -> set[Action]:
    found = set(row.actions)
    return found | actions(row.other) if row.other else found


class ActionTest(unittest.TestCase):
    def test_the_table_uses_every_action(self) -> None:
        used = {a for rows in TABLE.values() for row in rows.values() for a in actions(row)}
        self.assertEqual(set(Action), used)

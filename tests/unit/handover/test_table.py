"""The table itself: whole, and every row leads somewhere sensible."""

import unittest

from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.table import EDGE_OF, TABLE
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.phase import Phase


class TableTest(unittest.TestCase):
    def test_every_phase_has_rows_and_an_edge_state(self):
        self.assertEqual(set(Phase), set(TABLE))
        self.assertEqual(set(Phase), set(EDGE_OF))

    def test_every_event_is_known_in_some_phase(self):
        self.assertEqual(set(EventKind), {kind for rows in TABLE.values() for kind in rows})

    def test_a_failure_and_the_rollback_that_follows_look_the_same_to_an_operator(self):
        for phase, rows in TABLE.items():
            self.assertEqual(rows.get(EventKind.ROLLED_BACK), rows.get(EventKind.FAILED), phase)

    def test_every_begun_phase_takes_what_may_come_late(self):
        late = {
            EventKind.BEGIN,
            EventKind.PAUSED,
            EventKind.RESUMED,
            EventKind.SWITCHOVER_FAILED,
            EventKind.STILL_RUNNING,
            EventKind.COMPLETED,
            EventKind.FAILED,
            EventKind.ROLLED_BACK,
            EventKind.DELETED,
            EventKind.TARGET_LOST,
            EventKind.TARGET_FOUND,
            EventKind.REMOVED,
            EventKind.DEADLINE,
        }
        for phase, rows in TABLE.items():
            if phase is not Phase.IDLE:
                self.assertLessEqual(late, set(rows), phase)

    def test_a_change_to_shielding_holds_writes_before_the_edge_flips(self):
        for phase, rows in TABLE.items():
            for kind, row in rows.items():
                if row.then in (Phase.SHIELDED, Phase.ROLLING_BACK) and row.actions:
                    with self.subTest(phase=phase, kind=kind):
                        order = row.actions
                        self.assertLess(
                            order.index(Action.HOLD_WRITES), order.index(Action.SET_EDGE)
                        )
                        self.assertIn(Action.WAIT_REACHABLE, order)

    def test_nothing_is_sent_to_an_address_in_doubt(self):
        for phase, rows in TABLE.items():
            row = rows.get(EventKind.TARGET_LOST)
            while row is not None:
                with self.subTest(phase=phase, actions=row.actions):
                    self.assertNotIn(Action.SEND_WRITES, row.actions)
                    self.assertNotIn(Action.WATCH_SILENCE, row.actions)
                    if row.actions and phase not in {Phase.SHIELDED, Phase.ROLLING_BACK}:
                        self.assertIn(Action.HOLD_WRITES, row.actions)
                row = row.other

    def test_a_found_guest_gets_writes_only_while_it_is_known_to_run(self):
        for phase, rows in TABLE.items():
            if phase in {Phase.SHIELDED, Phase.ROLLING_BACK, Phase.REPLAYING}:
                row = rows[EventKind.TARGET_FOUND]
                row = row.other or row
                self.assertIn(Action.WAIT_REACHABLE, row.actions, phase)
                self.assertNotIn(Action.SEND_WRITES, row.actions, phase)

    def test_nothing_is_sent_to_an_instance_that_is_deleted(self):
        for phase, rows in TABLE.items():
            row = rows.get(EventKind.DELETED)
            if row is not None and phase is not Phase.RELEASED:
                self.assertNotIn(Action.SEND_WRITES, row.actions, phase)
                order = row.actions
                self.assertLess(order.index(Action.HOLD_WRITES), order.index(Action.RELEASE_ANYWAY))

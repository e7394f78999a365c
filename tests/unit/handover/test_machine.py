"""Playbooks: events in, actions out."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.handover import machine
from nova_cachemig.handover.actions import Action as A
from nova_cachemig.handover.events import Event
from nova_cachemig.handover.table import TABLE
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.handover import OutcomeKind
from nova_cachemig.model.phase import Phase

E = EventKind


def play(*kinds, post_copy=False, state=None):
    """Feed the events; return the last state and all actions."""
    state = state or machine.Handover()
    actions = []
    for number, kind in enumerate(kinds):
        step = machine.step(state, Event(kind, float(number), post_copy=post_copy))
        state = step.state
        actions += step.actions
    return state, actions


class PlaybookTest(unittest.TestCase):
    def test_a_plain_migration(self):
        state, actions = play(
            E.BEGIN,
            E.ARM,
            E.PAUSED,
            E.RESUMED,
            E.REACHABLE,
            E.CAUGHT_UP,
            E.RELEASE_DONE,
            E.COMPLETED,
        )
        self.assertIs(state.phase, Phase.RELEASED)
        self.assertIs(state.outcome, OutcomeKind.COMPLETED)
        self.assertEqual(1, actions.count(A.RELEASE))
        self.assertEqual(A.FINISH, actions[-1])
        self.assertLess(actions.index(A.HOLD_WRITES), actions.index(A.RESEND_LOST))

    def test_completed_before_drained_finishes_with_the_release(self):
        _, actions = play(
            E.BEGIN,
            E.ARM,
            E.PAUSED,
            E.RESUMED,
            E.REACHABLE,
            E.COMPLETED,
            E.CAUGHT_UP,
            E.RELEASE_DONE,
        )
        self.assertEqual(1, actions.count(A.FINISH))

    def test_resumed_overtakes_paused(self):
        state, _ = play(
            E.BEGIN, E.ARM, E.RESUMED, E.PAUSED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE
        )
        self.assertIs(state.phase, Phase.RELEASED)

    def test_silence_without_an_event_shields_and_arms_again(self):
        state, actions = play(E.BEGIN, E.ARM, E.SILENT, E.REACHABLE, E.CAUGHT_UP)
        self.assertEqual((Phase.REPLAYING, A.REARM), (state.phase, actions[-1]))
        state, _ = play(E.REARMED, state=state)
        self.assertIs(state.phase, Phase.ARMED)
        self.assertNotIn(A.RELEASE, actions)

    def test_a_migration_that_ends_while_the_edge_is_armed_is_released(self):
        state, _ = play(E.BEGIN, E.ARM, E.SILENT, E.REACHABLE, E.CAUGHT_UP, E.COMPLETED)
        state, actions = play(E.REARMED, state=state)
        self.assertEqual([A.SEND_WRITES, A.SET_EDGE, A.WAIT_CAUGHT_UP], list(actions))
        state, actions = play(E.CAUGHT_UP, E.RELEASE_DONE, state=state)
        self.assertEqual((Phase.RELEASED, A.FINISH), (state.phase, actions[-1]))

    def test_post_copy_stays_armed_until_nova_reports_completion(self):
        state, actions = play(E.BEGIN, E.ARM, E.PAUSED, E.REACHABLE, E.CAUGHT_UP, post_copy=True)
        state, _ = play(E.REARMED, state=state)
        self.assertIs(state.phase, Phase.ARMED)
        state, actions = play(E.COMPLETED, E.CAUGHT_UP, E.RELEASE_DONE, state=state)
        self.assertIs(state.phase, Phase.RELEASED)
        self.assertIn(A.FINISH, actions)

    def test_the_sources_post_copy_pause_comes_after_the_guest_runs_at_the_destination(self):
        state, _ = play(E.BEGIN, E.ARM, E.PAUSED, E.RESUMED, E.REACHABLE, post_copy=True)
        late, actions = play(E.PAUSED, state=state, post_copy=True)
        self.assertIs(late.phase, Phase.REPLAYING)
        self.assertEqual([], actions)
        again, _ = play(E.PAUSED, state=state)
        self.assertIs(again.phase, Phase.SHIELDED)

    def test_an_abort_during_memory_copy(self):
        state, actions = play(
            E.BEGIN, E.ARM, E.ROLLED_BACK, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE
        )
        self.assertIs(state.outcome, OutcomeKind.ROLLED_BACK)
        self.assertEqual(A.FINISH, actions[-1])

    def test_a_failed_switchover_goes_back_to_the_source(self):
        state, _ = play(
            E.BEGIN, E.ARM, E.PAUSED, E.SWITCHOVER_FAILED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE
        )
        self.assertIs(state.phase, Phase.RELEASED)
        self.assertIsNone(state.outcome)

    def test_a_late_write_drains_again(self):
        _, actions = play(
            E.BEGIN, E.ARM, E.PAUSED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_FAILED, E.CAUGHT_UP
        )
        self.assertEqual(2, actions.count(A.RELEASE))

    def test_an_abort_that_fails_counts_as_rolled_back(self):
        state, actions = play(
            E.BEGIN, E.ARM, E.FAILED, E.ROLLED_BACK, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE
        )
        self.assertIs(state.outcome, OutcomeKind.ROLLED_BACK)
        self.assertEqual(A.FINISH, actions[-1])

    def test_an_unannounced_pause(self):
        state, actions = play(
            E.UNANNOUNCED, E.PAUSED, E.BEGIN, E.RESUMED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE
        )
        self.assertIs(state.phase, Phase.RELEASED)
        self.assertIsNone(state.outcome)
        self.assertIn(A.OPEN_WRITES, actions)
        self.assertLess(actions.index(A.HOLD_WRITES), actions.index(A.SET_EDGE))

    def test_recovered_from_disk(self):
        state, actions = play(E.RECOVER, E.COMPLETED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE)
        self.assertIs(state.outcome, OutcomeKind.COMPLETED)
        self.assertIn(A.ASK_NOVA, actions)

    def test_the_first_event_of_nova_counts(self):
        state, _ = play(E.BEGIN, E.ARM, E.COMPLETED, E.ROLLED_BACK)
        self.assertIs(state.outcome, OutcomeKind.COMPLETED)

    def test_an_unknown_event_is_an_error(self):
        with self.assertRaises(machine.UnknownEventError):
            play(E.CAUGHT_UP)

    def test_a_guest_that_does_not_return_is_released_at_the_deadline(self):
        for kinds in ([E.PAUSED], [E.PAUSED, E.SWITCHOVER_FAILED], [E.FAILED], [E.DEADLINE]):
            with self.subTest(kinds):
                state, actions = play(E.BEGIN, E.ARM, *kinds, E.DEADLINE)
                self.assertIn(A.RELEASE_ANYWAY, actions)
                state, actions = play(E.RELEASE_DONE, state=state)
                self.assertIs(state.phase, Phase.RELEASED)
                self.assertIn(A.FINISH, actions)

    def test_a_guest_that_comes_and_goes_does_not_stop_its_release(self):
        for given_up in (E.DEADLINE, E.DELETED):
            state, _ = play(E.BEGIN, E.ARM, E.PAUSED, given_up)
            for kind in (E.PAUSED, E.SILENT):
                after, actions = play(kind, state=state)
                self.assertEqual((state.phase, []), (after.phase, actions))
        state, _ = play(E.BEGIN, E.ARM, E.PAUSED, E.REACHABLE)
        self.assertIs(Phase.SHIELDED, play(E.SILENT, state=state)[0].phase)

    def test_a_deleted_instance_is_released_without_sending_anything(self):
        state, _ = play(E.BEGIN, E.ARM, E.PAUSED)
        state, actions = play(E.DELETED, E.RELEASE_DONE, state=state)
        self.assertIs(state.outcome, OutcomeKind.ABANDONED)
        self.assertIn(A.RELEASE_ANYWAY, actions)
        self.assertEqual(A.FINISH, actions[-1])

    def test_the_removal_of_the_services_drains_if_the_guest_is_reachable(self):
        _, actions = play(E.BEGIN, E.ARM, E.REMOVED, E.CAUGHT_UP, E.RELEASE_DONE)
        self.assertIn(A.RELEASE, actions)
        self.assertEqual(A.FINISH, actions[-1])


class AnyOrderTest(unittest.TestCase):
    @given(
        st.lists(st.sampled_from(sorted(TABLE[Phase.SHIELDED])), max_size=30),
        st.sampled_from([E.DEADLINE, E.DELETED]),
    )
    def test_no_handover_needs_the_guest_for_its_end(self, kinds, end):
        state = machine.step(machine.Handover(), Event(E.BEGIN, 0.0)).state
        released, done = False, False
        for kind in [*kinds, end, end, E.RELEASE_DONE, end]:
            if kind in TABLE[state.phase]:
                step = machine.step(state, Event(kind, 1.0))
                state, done = step.state, done or A.FINISH in step.actions
                released |= state.phase is Phase.RELEASED
        self.assertTrue(released and done)

    @given(st.lists(st.sampled_from(sorted(TABLE[Phase.SHIELDED])), max_size=30))
    def test_a_reachable_guest_and_an_event_of_nova_end_it_in_any_state(self, kinds):
        """However events are lost, doubled or reordered, no handover is stuck."""
        state = machine.step(machine.Handover(), Event(E.BEGIN, 0.0)).state
        done = False
        tail = [E.COMPLETED, E.REACHABLE, E.CAUGHT_UP, E.RELEASE_DONE]
        for kind in [*kinds, *tail]:
            if kind in TABLE[state.phase]:
                step = machine.step(state, Event(kind, 1.0))
                state, done = step.state, done or A.FINISH in step.actions
        self.assertTrue(done)

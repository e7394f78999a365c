"""Sequences of libvirt's events on one host, and the actions that follow."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute.announce.plan import MAX_AGE, MAX_GUESTS, Action, Plan
from nova_cachemig.compute.tracker import Lifecycle, Resumed, Started, Suspended

ARRIVES = (Lifecycle.STARTED, Started.MIGRATED)
PAUSED = (Lifecycle.SUSPENDED, Suspended.MIGRATED)
POST_COPY = (Lifecycle.SUSPENDED, Suspended.POSTCOPY)
GOES_ON = (Lifecycle.RESUMED, Resumed.MIGRATED)
STOPPED = (Lifecycle.STOPPED, 3)
ANNOUNCE, FORGET, RELEASE = Action.ANNOUNCE, Action.FORGET, Action.RELEASE


class PlanTest(unittest.TestCase):
    def setUp(self) -> None:
        self.plan = Plan()

    def play(self, *events: tuple[int, int], guest: str = "uuid-1") -> list[Action]:
        return [a for event in events for a in self.plan.lifecycle(guest, *event, 100.0)]

    def test_the_destination_announces_when_it_hears_of_the_pause(self) -> None:
        self.assertEqual([Action.PREPARE], self.play(ARRIVES))
        self.assertEqual((ANNOUNCE,), self.plan.heard("uuid-1", 160.0, 160.01))
        self.assertEqual([RELEASE], self.play(GOES_ON))
        self.assertEqual((), self.plan.heard("uuid-1", 160.0, 160.02))

    def test_the_source_tells_the_others_and_announces_after_a_rollback_only(self) -> None:
        told = [Action.TELL, Action.PREPARE]
        self.assertEqual(told, self.play(PAUSED))
        self.assertEqual([FORGET], self.play(STOPPED))
        self.assertEqual(told, self.play(PAUSED))
        self.assertEqual((), self.plan.heard("uuid-1", 100.0, 100.0))
        self.assertEqual([ANNOUNCE, RELEASE], self.play((Lifecycle.RESUMED, 0)))
        self.assertEqual((), self.plan.known())

    def test_a_post_copy_is_reported_twice_and_told_once(self) -> None:
        self.assertEqual([Action.TELL, Action.PREPARE], self.play(PAUSED, POST_COPY))

    def test_a_destination_that_gives_up_announces_nothing(self) -> None:
        self.assertEqual([Action.PREPARE, FORGET], self.play(ARRIVES, STOPPED))
        self.assertEqual((), self.plan.heard("uuid-1", 101.0, 101.0))

    def test_ordinary_pauses_and_starts_are_no_migrations(self) -> None:
        ordinary = [(Lifecycle.SUSPENDED, 0), (Lifecycle.RESUMED, 0), (Lifecycle.STARTED, 0)]
        postcopy_failed = (Lifecycle.SUSPENDED, Suspended.POSTCOPY_FAILED)
        self.assertEqual([], self.play(*ordinary, postcopy_failed, STOPPED, (0, 0)))

    def test_old_news_are_no_news(self) -> None:
        self.play(ARRIVES)  # at 100
        for paused, now in ((98.9, 101.0), (101.0, 101.1 + MAX_AGE), (101.0, 90.0)):
            with self.subTest(paused=paused, now=now):
                self.assertEqual((), self.plan.heard("uuid-1", paused, now))
        self.assertEqual((ANNOUNCE,), self.plan.heard("uuid-1", 99.1, 99.0))

    def test_more_guests_than_the_limit_are_not_announced(self) -> None:
        for number in range(MAX_GUESTS):
            self.play(ARRIVES, guest=str(number))
        self.assertEqual([FORGET], self.play(ARRIVES))
        self.assertEqual((), self.plan.heard("uuid-1", 100.0, 100.0))

    @given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20))
    def test_what_is_prepared_is_undone(self, events: list[tuple[int, int]]) -> None:
        plan, prepared = Plan(), False
        for event in (*events, STOPPED):
            for action in plan.lifecycle("uuid-1", *event, 100.0):
                if action is ANNOUNCE:
                    self.assertTrue(prepared)
                if action is not Action.TELL:
                    prepared = action in {Action.PREPARE, ANNOUNCE}
            self.assertEqual(prepared, "uuid-1" in plan.known())
        self.assertEqual((), plan.known())

import unittest
from typing import Any

import libvirt
from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.compute import tracker
from nova_cachemig.compute.tracker import Lifecycle, Resumed, Started, Suspended
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent

K = EventKind


class Play(unittest.TestCase):
    def setUp(self) -> None:
        self.tracker = tracker.Tracker("host-a")

    def saw(self, event: int, detail: int = 0, instance: str = "uuid-1") -> str | None:
        reported = self.tracker.lifecycle(instance, event, detail, 7.5)
        if reported is None:
            return None
        self.assertEqual((instance, 7.5, "host-a", None), _facts(reported))
        return reported.kind.value

    def test_the_source_of_a_pre_copy(self) -> None:
        self.assertEqual("paused", self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED))
        self.assertIsNone(self.saw(Lifecycle.STOPPED, 3))
        self.assertEqual((), self.tracker.paused())

    def test_the_destination_of_a_pre_copy(self) -> None:
        self.assertIsNone(self.saw(Lifecycle.STARTED, Started.MIGRATED))
        self.assertIsNone(self.saw(Lifecycle.SUSPENDED, 0))
        self.assertEqual("resumed", self.saw(Lifecycle.RESUMED, Resumed.MIGRATED))

    def test_a_switchover_that_fails(self) -> None:
        for detail in (0, Resumed.MIGRATED):
            self.assertEqual("paused", self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED))
            self.assertEqual(("uuid-1",), self.tracker.paused())
            self.assertEqual("switchover_failed", self.saw(Lifecycle.RESUMED, detail))
            self.assertEqual((), self.tracker.paused())

    def test_a_migration_and_back(self) -> None:
        self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED)
        self.saw(Lifecycle.STOPPED, 3)
        self.saw(Lifecycle.STARTED, Started.MIGRATED)
        self.assertEqual("resumed", self.saw(Lifecycle.RESUMED, Resumed.MIGRATED))

    def test_back_though_the_end_of_the_first_was_missed(self) -> None:
        self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED)
        self.saw(Lifecycle.STARTED, Started.MIGRATED)
        self.assertEqual("resumed", self.saw(Lifecycle.RESUMED, Resumed.MIGRATED))

    def test_a_post_copy_is_reported_twice_on_both_sides(self) -> None:
        self.assertEqual("suspended_migrated", self.detail(3, Suspended.MIGRATED))
        self.assertEqual("suspended_postcopy", self.detail(3, Suspended.POSTCOPY))
        self.assertEqual(("uuid-1",), self.tracker.paused())
        self.assertIsNone(self.saw(Lifecycle.STOPPED, 3))
        self.saw(Lifecycle.STARTED, Started.MIGRATED)
        self.assertEqual("resumed_postcopy", self.detail(4, Resumed.POSTCOPY))
        self.assertEqual("resumed_migrated", self.detail(4, Resumed.MIGRATED))

    def test_a_post_copy_that_fails_pauses_the_guest_on_both_sides(self) -> None:
        self.assertEqual("suspended_postcopy_failed", self.detail(3, Suspended.POSTCOPY_FAILED))
        self.assertEqual((), self.tracker.paused())

    def detail(self, event: int, detail: int) -> str:
        reported = self.tracker.lifecycle("uuid-1", event, detail, 1.0)
        assert reported is not None
        self.assertEqual("postcopy" in reported.detail, reported.post_copy)
        return reported.detail

    def test_a_pause_and_resume_by_a_user_is_not_reported(self) -> None:
        self.assertIsNone(self.saw(Lifecycle.SUSPENDED, 0))
        self.assertIsNone(self.saw(Lifecycle.RESUMED, 0))

    def test_a_failed_switchover_that_was_missed(self) -> None:
        self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED)
        reported = self.tracker.found_running("uuid-1", 9.0)
        assert reported is not None
        self.assertEqual(K.SWITCHOVER_FAILED, reported.kind)
        self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED)
        self.tracker.not_found("uuid-1")
        self.assertEqual((), self.tracker.paused())

    def test_domains_are_independent(self) -> None:
        self.saw(Lifecycle.SUSPENDED, Suspended.MIGRATED, "uuid-1")
        self.assertIsNone(self.saw(Lifecycle.RESUMED, 0, "uuid-2"))

    @given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 8), st.integers(-1, 12))))
    def test_whatever_libvirt_says_nothing_is_raised_and_all_that_stopped_is_forgotten(
        self, said: list[tuple[str, int, int]]
    ) -> None:
        watched = tracker.Tracker("host-a")
        for instance, event, detail in said:
            reported = watched.lifecycle(instance, event, detail, 0.0)
            self.assertTrue(reported is None or reported.instance == instance)
        for instance in "ab":
            watched.lifecycle(instance, Lifecycle.STOPPED, 0, 0.0)
        self.assertEqual((set(), set()), (watched._paused, watched._arriving))


class Numbers(unittest.TestCase):
    def test_they_are_libvirts(self) -> None:
        for kind, prefix in (
            (Lifecycle, ""),
            (Started, "STARTED_"),
            (Suspended, "SUSPENDED_"),
            (Resumed, "RESUMED_"),
        ):
            for member in kind:
                name = f"VIR_DOMAIN_EVENT_{prefix}{member.name}"
                self.assertEqual(getattr(libvirt, name), member.value, name)


def _facts(reported: GuestEvent) -> tuple[Any, ...]:
    return reported.instance, reported.at, reported.host, reported.request

"""The limits of the intake, with uploads in progress."""

from __future__ import annotations

import unittest
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.intake.admission import Admission, Arrival
from nova_cachemig.agent.intake.service import ServiceIntake
from tests.functional.replay.path import conf_for


class Disk:
    """A disk with a number of free bytes."""

    def __init__(self, free: int) -> None:
        self.free = free

    def has_room(self, more: int, *, look: bool) -> bool:
        return self.free - more >= 0


class Queue:
    """Counts what waits."""

    def __init__(self) -> None:
        self.waiting = self.waiting_bytes = self.arriving = 0

    def arrive(self) -> object:
        self.arriving += 1
        return object()

    def leave(self, _request: object) -> None:
        self.arriving -= 1


class AdmissionTest(unittest.TestCase):
    def make(self, free: int = 1 << 40, **limits: int) -> Admission:
        self.disk: Any = Disk(free)
        return Admission(self.disk, conf_for("/nowhere", **limits))

    def intake(self) -> ServiceIntake:
        queue, reads = cast(Any, Queue()), cast(Any, None)
        return ServiceIntake(queue, reads, b"")

    def admitted(
        self, admission: Admission, number: int, length: int, *intakes: ServiceIntake
    ) -> list[Arrival]:
        """Let so many uploads begin together; return those that are not refused."""
        found = []
        for index in range(number):
            intake = intakes[index % len(intakes)]
            refusal = admission.refusal(intake, length)
            if refusal is None:
                found.append(Arrival(admission, intake, length))
            else:
                self.assertEqual(503, refusal.status)
        return found

    def test_uploads_that_begin_together(self) -> None:
        for limits, expected in (
            ({"max_waiting": 7}, 7),
            ({"max_waiting_bytes": 1000}, 10),
            ({"free": 450}, 4),
        ):
            with self.subTest(limits):
                admission = self.make(**limits)
                self.assertEqual(expected, len(self.admitted(admission, 20, 100, self.intake())))

    def test_services_share_the_disk_and_nothing_else(self) -> None:
        admission = self.make(free=450, max_waiting=3)
        self.assertEqual(4, len(self.admitted(admission, 20, 100, self.intake(), self.intake())))

    def test_what_waits_counts_too(self) -> None:
        admission, intake = self.make(max_waiting=5, max_waiting_bytes=1000), self.intake()
        intake.replay.waiting, intake.replay.waiting_bytes = 3, 900
        self.assertEqual(1, len(self.admitted(admission, 20, 60, intake)))

    def test_a_refused_or_accepted_request_returns_its_room(self) -> None:
        admission, intake = self.make(max_waiting_bytes=1000), self.intake()
        for arrival in self.admitted(admission, 20, 100, intake):
            arrival.receive(50)
            arrival.end()
            arrival.end()
        self.assertEqual((0, 0, 0), (intake.uploads, intake.upload_bytes, intake.replay.arriving))
        self.assertEqual(10, len(self.admitted(admission, 20, 100, intake)))

    def test_chunked_bodies_together(self) -> None:
        for limits in ({"max_waiting_bytes": 1000}, {"free": 1000}):
            admission, intake = self.make(**limits), self.intake()
            arrivals = self.admitted(admission, 20, 0, intake)
            received = 0
            for _ in range(10):
                for arrival in arrivals:
                    if arrival.receive(10) is None:
                        received += 10
                        self.disk.free -= 10
            with self.subTest(limits):
                self.assertEqual(1000, received)

    def test_bytes_on_the_disk_are_not_reserved_twice(self) -> None:
        admission, intake = self.make(free=1000), self.intake()
        (arrival,) = self.admitted(admission, 1, 600, intake)
        for _ in range(6):
            self.assertIsNone(arrival.receive(100))
            self.disk.free -= 100
        self.assertIsNone(admission.refusal(intake, 400))
        self.assertIsNotNone(admission.refusal(intake, 401))

    def test_a_stalled_upload_reserves_what_it_has(self) -> None:
        admission, intake = self.make(max_waiting_bytes=1000), self.intake()
        (stalled,) = self.admitted(admission, 1, 1000, intake)
        stalled.receive(300)
        self.assertIsNotNone(admission.refusal(intake, 700))
        stalled.stall()
        (other,) = self.admitted(admission, 1, 600, intake)
        self.assertIsNone(stalled.receive(100))
        refusal = stalled.receive(100)
        assert refusal is not None
        self.assertEqual((503, True), (refusal.status, refusal.close))
        other.end()
        self.assertIsNone(stalled.receive(600))

    def test_the_largest_body(self) -> None:
        for limits, expected in (
            ({}, 4 << 30),
            ({"max_body": 100}, 100),
            ({"max_body": 100, "max_waiting_bytes": 10}, 10),
        ):
            self.assertEqual(expected, self.make(**limits).max_body)

    @given(st.lists(st.tuples(st.integers(0, 200), st.lists(st.integers(0, 90), max_size=5))))
    def test_nothing_stays_counted(self, bodies: list[tuple[int, list[int]]]) -> None:
        admission, intake = self.make(free=900, max_waiting_bytes=1000), self.intake()
        arrivals = []
        for length, pieces in bodies:
            if admission.refusal(intake, length) is None:
                arrivals.append(arrival := Arrival(admission, intake, length))
                for piece in pieces:
                    arrival.receive(piece)
                if length % 2:
                    arrival.stall()
            self.assertLessEqual(intake.upload_bytes, 1000)
        for arrival in arrivals:
            arrival.end()
        self.assertEqual((0, 0), (intake.uploads, intake.upload_bytes))
        self.assertEqual(9, len(self.admitted(admission, 20, 100, intake)))

"""Events on the wire, between versions too."""

import unittest
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.event import FROM_COMPUTE, EventKind
from nova_cachemig.model.guest import GuestEvent

OF_1_0 = {"instance": "uuid-1", "kind": "paused", "at": 12.5, "host": "a", "request": None}
KINDS = st.sampled_from(sorted(FROM_COMPUTE))


class GuestEventTest(unittest.TestCase):
    @given(st.text(), KINDS, st.floats(allow_nan=False), st.text(), st.booleans())
    def test_an_event_survives_the_wire(
        self, instance: str, kind: EventKind, at: float, detail: str, post_copy: bool
    ) -> None:
        event = GuestEvent(instance, kind, at, "host-a", "req-1", detail, post_copy)
        self.assertEqual(event, GuestEvent.from_wire(event.to_wire()))

    def test_post_copy_of_1_0_is_found_in_the_detail(self) -> None:
        for detail, expected in (
            ("suspended_postcopy", True),
            ("resumed_postcopy", True),
            ("post-copy", True),
            ("suspended_migrated", False),
            ("", False),
        ):
            event = GuestEvent.from_wire(OF_1_0 | {"detail": detail})
            self.assertEqual(expected, event.post_copy, detail)

    def test_from_1_1_on_the_detail_means_nothing(self) -> None:
        wire = OF_1_0 | {"detail": "suspended_postcopy", "post_copy": False}
        self.assertFalse(GuestEvent.from_wire(wire).post_copy)

    def test_an_agent_of_1_0_finds_every_field_that_it_knows(self) -> None:
        event = GuestEvent("uuid-1", EventKind.PAUSED, 1.0, None, None, "suspended_postcopy", True)
        wire = event.to_wire()
        self.assertLessEqual({"instance", "kind", "at", "host", "request", "detail"}, set(wire))
        self.assertIn("postcopy", wire["detail"])

    def test_an_event_that_nova_compute_does_not_report_is_refused(self) -> None:
        for kind in set(EventKind) - FROM_COMPUTE:
            with self.subTest(kind), self.assertRaisesRegex(ValueError, "does not report"):
                GuestEvent.from_wire(OF_1_0 | {"kind": kind.value})

    def test_damage_is_a_value_error(self) -> None:
        junk: list[Any] = [None, 1, "paused", {}, OF_1_0 | {"at": "soon"}, OF_1_0 | {"kind": 3}]
        for wire in junk:
            with self.subTest(wire), self.assertRaisesRegex(ValueError, "not a guest event"):
                GuestEvent.from_wire(wire)

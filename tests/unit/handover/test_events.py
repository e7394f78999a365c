import dataclasses
import unittest

from nova_cachemig.handover.events import Event
from nova_cachemig.model.event import EventKind


class EventTest(unittest.TestCase):
    def test_an_event_is_no_post_copy_unless_it_says_so_and_never_changes(self) -> None:
        event = Event(EventKind.PAUSED, 1.5)
        self.assertFalse(event.post_copy)
        with self.assertRaises(dataclasses.FrozenInstanceError):
            event.post_copy = True  # type: ignore[misc]

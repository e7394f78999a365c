import unittest

from nova_cachemig.compute import notification
from nova_cachemig.model.event import FROM_COMPUTE, EventKind


class EventKindTest(unittest.TestCase):
    def test_the_names_on_the_wire_of_1_0_are_unchanged(self) -> None:
        expected = ["completed", "failed", "paused", "resumed", "rolled_back", "switchover_failed"]
        self.assertEqual(expected, sorted(kind.value for kind in FROM_COMPUTE))

    def test_the_hook_reports_only_what_the_agent_takes(self) -> None:
        for names in (notification._VERSIONED, notification._UNVERSIONED):
            ends = set(names.values()) - {EventKind.BEGIN, EventKind.ARM}
            self.assertLessEqual(ends, FROM_COMPUTE)
        self.assertLessEqual(FROM_COMPUTE, set(EventKind))

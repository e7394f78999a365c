import unittest

from nova_cachemig.compute.hook import _REPORTED
from nova_cachemig.model.event import FROM_COMPUTE, EventKind


class EventKindTest(unittest.TestCase):
    def test_the_names_on_the_wire_of_1_0_are_unchanged(self) -> None:
        expected = ["completed", "failed", "paused", "resumed", "rolled_back", "switchover_failed"]
        self.assertEqual(expected, sorted(kind.value for kind in FROM_COMPUTE))

    def test_the_hook_reports_only_what_the_agent_takes(self) -> None:
        self.assertLessEqual(set(_REPORTED.values()), FROM_COMPUTE)
        self.assertLessEqual(FROM_COMPUTE, set(EventKind))

import unittest

from nova_cachemig.model.change import InstanceChange


class InstanceChangeTest(unittest.TestCase):
    def test_the_names_on_the_wire_stay(self) -> None:
        names = {"deleted", "detached", "changed"}
        self.assertEqual(names, {change.value for change in InstanceChange})

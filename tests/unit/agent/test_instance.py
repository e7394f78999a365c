"""The addresses of an instance."""

import unittest

from nova_cachemig.agent.instance import instance_of
from nova_cachemig.agent.ports import ComponentError
from tests.unit.agent.test_nova import Server


class InstanceTest(unittest.TestCase):
    def test_the_first_fixed_ipv4_address(self):
        instance = instance_of(Server())
        self.assertEqual("10.0.0.5", instance.address(None))
        self.assertEqual("10.0.1.9", instance.address("b"))
        with self.assertRaisesRegex(ComponentError, "no address on network 'c'"):
            instance.address("c")

    def test_the_only_floating_address(self):
        instance = instance_of(Server())
        self.assertEqual("203.0.113.5", instance.floating_address(None))
        self.assertEqual("203.0.113.5", instance.floating_address("a"))
        with self.assertRaisesRegex(ComponentError, "no floating address on network 'b': add one"):
            instance.floating_address("b")
        instance.floating["b"] = ("203.0.113.6",)
        with self.assertRaisesRegex(
            ComponentError, r"several floating addresses, 203\.0\.113\.5, 203\.0\.113\.6: name one"
        ):
            instance.floating_address(None)

    def test_an_address_may_be_the_instances(self):
        instance = instance_of(Server())
        for address, expected in (("10.0.1.9", True), ("2001:db8::5", True), ("10.0.0.9", False)):
            self.assertEqual(expected, instance.may_have(address))
        instance.addresses.clear()
        instance.floating.clear()
        self.assertTrue(instance.may_have("10.0.0.9"))

    def test_the_port_of_an_address(self):
        instance = instance_of(Server())
        self.assertEqual("fa:16:3e:00:00:01", instance.mac_of("10.0.1.9"))
        self.assertEqual("", instance.mac_of("10.0.0.5"))

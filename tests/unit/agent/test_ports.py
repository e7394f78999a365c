"""The ports are exact: every declared member is used, and every implementation satisfies them.

mypy proves that production code calls nothing else on a port, and that the implementations have the
right types: ``agent/service.py`` and ``agent/noop.py`` pass them as parameters of the ports' types.
"""

from __future__ import annotations

import inspect
import unittest

from nova_cachemig.agent import noop, ports
from nova_cachemig.agent.engine.driver import HaproxyVarnish
from nova_cachemig.agent.freshness import Freshness
from nova_cachemig.agent.instance import Instance
from nova_cachemig.agent.journal.handovers import JournalHandoverStore
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.probe import TcpProber
from nova_cachemig.agent.warm.warmer import CacheWarmer
from nova_cachemig.agent.writes import Writes
from tests.unit.agent import port_usage

IMPLEMENTATIONS: dict[str, tuple[type, ...]] = {
    "BarrierEngine": (HaproxyVarnish, Freshness, noop.NoEngine),
    "ConnectionTester": (TcpProber, noop.NoTester),
    "Engine": (HaproxyVarnish, noop.NoEngine),
    "HandoverReader": (JournalHandoverStore, noop.NoHandoverStore),
    "HandoverStore": (JournalHandoverStore, noop.NoHandoverStore),
    "InstanceAddresses": (Instance,),
    "Instances": (NovaApi, noop.NoNova),
    "LearningWarmer": (CacheWarmer, noop.NoWarmer),
    "Migrations": (NovaApi, noop.NoNova),
    "PageRefresher": (CacheWarmer, noop.NoWarmer),
    "Prober": (TcpProber, noop.NoProber),
    "Warmer": (CacheWarmer, noop.NoWarmer),
    "WritePath": (Writes, noop.NoWrites),
}


def shape(function: object) -> tuple[bool, list[tuple[str, object]]]:
    """Return whether the function is a coroutine, and its parameters."""
    assert callable(function)
    parameters = inspect.signature(function).parameters.values()
    return inspect.iscoroutinefunction(function), [(p.name, p.kind) for p in parameters]


class PortsTest(unittest.TestCase):
    def test_used_equals_declared(self) -> None:
        used, undeclared = port_usage.usage()
        declared = {
            f"{name}.{member}"
            for name, port in port_usage.ports().items()
            for member in port.members
        }
        self.assertEqual(declared, used)
        self.assertEqual(set(), undeclared)

    def test_every_port_has_an_implementation_and_a_twin_that_does_nothing(self) -> None:
        self.assertEqual(set(port_usage.ports()), set(IMPLEMENTATIONS))
        with_data = {"InstanceAddresses"}  # an instance is a value, not a component
        for name, found in IMPLEMENTATIONS.items():
            twins = [one for one in found if one.__module__ == noop.__name__]
            self.assertEqual(name not in with_data, bool(twins), name)

    def test_every_implementation_has_the_shape_of_its_ports(self) -> None:
        for name, found in IMPLEMENTATIONS.items():
            port = getattr(ports, name)
            for member in port_usage.ports()[name].members:
                for one in found:
                    with self.subTest(f"{one.__name__}.{member}"):
                        self.assertEqual(shape(getattr(port, member)), shape(getattr(one, member)))


class ReaderTest(unittest.TestCase):
    """The reader of the usage finds known examples."""

    def test_it_sees_through_attributes_locals_and_results(self) -> None:
        used, _ = port_usage.usage()
        self.assertIn("Engine.set_state", used)  # self._components.engine.set_state()
        self.assertIn("WritePath.close", used)  # engine, writes = ..., self._components.writes
        self.assertIn("InstanceAddresses.address", used)  # on the result of Instances.instance()

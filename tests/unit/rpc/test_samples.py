"""Readings arrive validated; malformed ones are reported, and end nothing."""

from __future__ import annotations

import unittest
from typing import Any

from nova_cachemig.model.reading import Reading
from nova_cachemig.rpc.samples import Dispatch


class DispatchTest(unittest.TestCase):
    def setUp(self) -> None:
        self.received: list[Reading] = []
        self.malformed: list[str] = []
        self.dispatch = Dispatch(self.received.append, self.malformed.append)

    def test_a_reading(self) -> None:
        reading = Reading("cmp1", 1.0, 50.0, 2.0, 3.0)
        self.dispatch.reading({}, reading.to_wire())
        self.assertEqual(([reading], []), (self.received, self.malformed))

    def test_what_is_no_reading(self) -> None:
        wires: list[Any] = [None, [], {"host": 7}, {"host": "x", "at": "now", "percent": 1}]
        for wire in wires:
            self.dispatch.reading({}, wire)
        self.assertEqual([], self.received)
        self.assertEqual(len(wires), len(self.malformed))

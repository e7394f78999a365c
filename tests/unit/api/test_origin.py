"""A write belongs to the last handover of its service that began before it."""

from __future__ import annotations

import unittest

from nova_cachemig.api.origin import Origins
from tests.unit.api.case import BLUE_VM, RED_VM, record


class OriginsTest(unittest.TestCase):
    def test_the_last_handover_before_the_write(self) -> None:
        origins = Origins(
            [
                record(BLUE_VM, "req-2", "shop", started=2000.0),
                record(RED_VM, "req-1", "shop", "news", started=1000.0),
            ]
        )
        for service, at, expected in (
            ("shop", 999.0, None),
            ("shop", 1000.0, RED_VM),
            ("shop", 1999.9, RED_VM),
            ("shop", 2000.0, BLUE_VM),
            ("news", 5000.0, RED_VM),
            ("other", 5000.0, None),
        ):
            with self.subTest(service=service, at=at):
                self.assertEqual(expected, origins.instance(service, at))

"""The middleware's settings."""

from __future__ import annotations

import unittest

from nova_cachemig.guest.settings import Settings


class SettingsTest(unittest.TestCase):
    def test_invalid_settings(self) -> None:
        for wrong in (
            {"methods": frozenset()},
            {"methods": frozenset({"GET"})},
            {"methods": frozenset({"post"})},
            {"max_body": -1},
            {"max_response": -1},
        ):
            with self.assertRaises(ValueError, msg=wrong):
                Settings(**wrong)

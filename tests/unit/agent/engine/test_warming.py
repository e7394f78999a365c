"""The headers of the warmer's fetches."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.agent.ports import ComponentError


class WarmHeaders(unittest.TestCase):
    def test_the_service_is_encoded(self) -> None:
        self.assertEqual({"Host": "h", "X-Cachemig-Service": "a%20b"}, warm_headers("a b", "h"))

    def test_a_name_that_the_engine_cannot_carry_is_refused(self) -> None:
        with self.assertRaises(ComponentError):
            warm_headers("", "h")

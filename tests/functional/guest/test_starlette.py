"""A real Starlette application under uvicorn."""

from __future__ import annotations

import unittest

from tests.functional.guest.honours import HonoursKeys


class StarletteTest(HonoursKeys, unittest.TestCase):
    kind = "starlette"

"""Sources by name."""

from __future__ import annotations

import unittest

from nova_cachemig.telemetry import source
from nova_cachemig.telemetry.nova import NovaSource
from tests.unit.telemetry.config import conf


class Loading(unittest.TestCase):
    def test_by_name(self) -> None:
        found = source.load(conf(sources=["nova", "none"]))
        self.assertIsInstance(found["nova"], NovaSource)
        self.assertIsInstance(found["none"], source.NoSource)

    def test_no_such_name(self) -> None:
        with self.assertRaisesRegex(source.SourceError, "no source is named 'ganglia'"):
            source.load(conf(sources=["ganglia"]))

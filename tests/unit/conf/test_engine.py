"""[engine]: one unit for sizes, and the option that was in MiB."""

from __future__ import annotations

from oslo_config import cfg

from nova_cachemig.conf.engine import max_object_bytes
from tests.unit.conf.case import ConfTest


class EngineOptions(ConfTest):
    def test_the_largest_stored_response(self) -> None:
        for text, expected in (
            ("", 16 << 20),
            ("max_object_size = 8m", 8 << 20),
            ("max_object_size = 3145728", 3 << 20),
            ("max_object = 32", 32 << 20),  # the former option is in MiB
            ("max_object = 32\nmax_object_size = 8m", 32 << 20),
        ):
            with self.subTest(text):
                self.assertEqual(expected, max_object_bytes(self.read(f"[engine]\n{text}\n")))

    def test_bounds(self) -> None:
        for line in (
            "max_object_size = 16",
            "max_object = 0",
            "cache_size = 1t",
            "access_rate = 0",
        ):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[engine]\n{line}\n")

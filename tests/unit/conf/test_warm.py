"""[warm]: sizes, the driver and the regular expression."""

from __future__ import annotations

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class WarmOptions(ConfTest):
    def test_the_former_name_of_a_size_is_in_bytes(self) -> None:
        self.assertEqual(32 << 20, self.read().warm.max_object_size)
        conf = self.read("[warm]\nmax_object = 2097152\n")
        self.assertEqual(2 << 20, conf.warm.max_object_size)

    def test_invalid_values_are_refused_when_the_file_is_read(self) -> None:
        for line in ("driver = unknown", "discover_links_never = (", "half_lives = 0"):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[warm]\n{line}\n")

"""[probe]: bounds."""

from __future__ import annotations

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class ProbeOptions(ConfTest):
    def test_bounds(self) -> None:
        for line in ("silent_after = 1", "timeout_factor = 0.5", "lifetime = 4", "max_open = 1"):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[probe]\n{line}\n")

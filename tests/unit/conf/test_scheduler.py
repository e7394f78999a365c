"""The options in nova.conf."""

from __future__ import annotations

import tempfile
import unittest

from oslo_config import cfg

from nova_cachemig.conf import scheduler


class OldNames(unittest.TestCase):
    def test_settle_time_is_read_as_pending_time(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[cachemig_scheduler]\nsettle_time = 60\n")
            file.flush()
            conf = cfg.ConfigOpts()
            scheduler.register(conf)
            conf([], default_config_files=[file.name], default_config_dirs=[])
            self.assertEqual(60.0, conf.cachemig_scheduler.pending_time)

from __future__ import annotations

import tempfile
import unittest

from oslo_config import cfg

from nova_cachemig.conf import journal


class JournalOptionsTest(unittest.TestCase):
    def test_the_old_name_of_the_resume_delay_still_works(self) -> None:
        with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
            file.write("[journal]\nsettle = 2.5\n")
            file.flush()
            conf = cfg.ConfigOpts()
            journal.register(conf)
            conf([], default_config_files=[file.name], default_config_dirs=[])
            self.assertEqual(2.5, conf.journal.resume_delay)

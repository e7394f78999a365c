"""Reads configuration text as the agent reads its file."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.conf import setup


class ConfTest(unittest.TestCase):
    def read(self, text: str = "") -> cfg.ConfigOpts:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "nova-cachemig.conf")
            path.write_text(text)
            conf = cfg.ConfigOpts()
            setup.read(conf, [str(path)])
        return conf

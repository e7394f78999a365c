"""The options of the API: bounded, and harmless by default."""

from __future__ import annotations

import unittest

from oslo_config import cfg

from nova_cachemig.conf import api


class ApiOptionsTest(unittest.TestCase):
    def test_by_default_it_listens_on_the_loopback_interface(self) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        api.register(conf)
        self.assertEqual("127.0.0.1", conf.api.bind_host)

    def test_each_number_has_bounds(self) -> None:
        for option in api.OPTS:
            if isinstance(option, cfg.IntOpt | cfg.FloatOpt):
                with self.subTest(option.name):
                    self.assertIsNotNone(option.type.min)
                    self.assertIsNotNone(option.type.max)

"""Where the metrics are served."""

from __future__ import annotations

import unittest

from oslo_config import cfg

from nova_cachemig.conf import metrics
from nova_cachemig.conf.metrics import Address, Listen


class ListenTest(unittest.TestCase):
    def test_every_form(self) -> None:
        for text, expected in (
            ("9106", Address("127.0.0.1", 9106)),
            (9106, Address("127.0.0.1", 9106)),
            ("192.0.2.1:9106", Address("192.0.2.1", 9106)),
            ("[2001:DB8::1]:9106", Address("2001:db8::1", 9106)),
        ):
            self.assertEqual(expected, Listen()(text))
            self.assertEqual(expected, Listen()(str(expected)))

    def test_what_is_no_address(self) -> None:
        for text in ("", "-1", "65536", "host:9106", "192.0.2.1", "2001:db8::1:9106", "1.2.3:80"):
            with self.subTest(text), self.assertRaises(ValueError):
                Listen()(text)

    def test_it_is_off_unless_it_is_set(self) -> None:
        conf = cfg.ConfigOpts()
        metrics.register(conf)
        conf([], default_config_files=[], default_config_dirs=[])
        self.assertIsNone(conf.metrics.listen)
        self.assertIsNone(conf.metrics.forecaster_listen)
        self.assertEqual(Listen(), Listen())
        self.assertEqual(1, len({Listen(), Listen()}))

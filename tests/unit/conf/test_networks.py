"""Options that are an address or a network."""

from __future__ import annotations

import unittest

from oslo_config import cfg

from nova_cachemig.conf.networks import Network


class NetworkTest(unittest.TestCase):
    def test_the_value_is_in_canonical_form(self) -> None:
        for text, expected in (
            ("192.0.2.7", "192.0.2.7/32"),
            (" 192.0.2.0/24 ", "192.0.2.0/24"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8:0::1", "2001:db8::1/128"),
        ):
            self.assertEqual(expected, Network()(text), text)

    def test_what_is_no_network_is_refused(self) -> None:
        for text in ("", "shop.example", "192.0.2.0/33", "192.0.2.1/24", "*"):
            with self.assertRaises(ValueError, msg=text):
                Network()(text)

    def test_it_is_the_type_of_an_option(self) -> None:
        conf = cfg.ConfigOpts()
        conf.register_opt(cfg.ListOpt("proxies", item_type=Network()))
        conf([])
        conf.set_override("proxies", ["2001:DB8::/32"])
        self.assertEqual(["2001:db8::/32"], conf.proxies)
        self.assertEqual(Network(), Network())

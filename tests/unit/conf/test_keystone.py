"""The options of keystoneauth1: a service replaces those with the same name."""

from __future__ import annotations

import unittest

from oslo_config import cfg

from nova_cachemig.conf import keystone

GROUP = cfg.OptGroup("images", title="Images")
OPTS = [*keystone.endpoint_opts("Glance", "image", "https://glance"), cfg.StrOpt("more")]


class KeystoneTest(unittest.TestCase):
    def test_each_option_is_registered_once_and_the_services_own_wins(self) -> None:
        conf = cfg.ConfigOpts()
        keystone.register(conf, GROUP, OPTS)
        conf([], default_config_files=[], default_config_dirs=[])
        self.assertEqual("image", conf.images.service_type)
        self.assertEqual(["internal", "public"], conf.images.valid_interfaces)
        self.assertIsNone(conf.images.connect_retries)
        self.assertIsNone(conf.images.auth_type)
        self.assertIsNone(conf.images.cafile)
        self.assertIsNone(conf.images.more)

    def test_an_override_stays_in_its_configuration(self) -> None:
        first, second = cfg.ConfigOpts(), cfg.ConfigOpts()
        for conf in (first, second):
            keystone.register(conf, GROUP, OPTS)
            conf([], default_config_files=[], default_config_dirs=[])
        first.set_override("region_name", "R", group="images")
        self.assertIsNone(second.images.region_name)

    def test_the_sample_lists_each_option_once(self) -> None:
        [(group, options)] = keystone.list_opts(GROUP, OPTS)
        names = [option.dest for option in options]
        self.assertEqual("images", group.name)
        self.assertEqual(len(set(names)), len(names))
        self.assertLessEqual({"more", "username", "application_credential_id"}, set(names))


if __name__ == "__main__":
    unittest.main()

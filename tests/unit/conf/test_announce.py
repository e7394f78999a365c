import unittest

from oslo_config import cfg

from nova_cachemig.conf import announce


class AnnounceOptions(unittest.TestCase):
    def test_no_migration_is_announced_unless_switched_on(self) -> None:
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[], default_config_dirs=[])
        announce.register(conf)
        ours = conf.cachemig_announce
        self.assertEqual((False, "nova-cachemig-announce"), (ours.enabled, ours.topic))

    def test_the_topic_is_within_the_rights_of_the_account_on_the_bus(self) -> None:
        [topic] = [option for option in announce.OPTS if option.name == "topic"]
        self.assertRegex(topic.default, "^nova-cachemig.*$")

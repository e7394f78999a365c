import unittest

from oslo_config import cfg

from nova_cachemig.conf import agent, compute


def new_conf() -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    compute.register(conf)
    return conf


class ComputeOptions(unittest.TestCase):
    def test_limits(self) -> None:
        conf = new_conf()
        for name, bad in (
            ("warm_timeout", 301),
            ("warm_timeout", -1),
            ("rpc_timeout", 0.0),
            ("rpc_timeout", 11.0),
            ("agent_retry_after", -1),
        ):
            with self.subTest(f"{name}={bad}"), self.assertRaises(ValueError):
                conf.set_override(name, bad, group="cachemig")

    def test_both_sides_of_the_wire_name_the_same_topic(self) -> None:
        conf = new_conf()
        agent.register(conf)
        self.assertEqual(conf.agent.topic, conf.cachemig.topic)

    def test_a_value_set_for_one_conf_is_not_set_for_another(self) -> None:
        one, other = new_conf(), new_conf()
        one.set_override("warm_timeout", 7, group="cachemig")
        self.assertEqual((7, 30), (one.cachemig.warm_timeout, other.cachemig.warm_timeout))

    def test_it_may_be_registered_twice(self) -> None:
        conf = new_conf()
        compute.register(conf)
        self.assertEqual(30, conf.cachemig.warm_timeout)

import socket

from oslo_config import cfg

from nova_cachemig.conf import forecaster, scheduler
from tests.unit.conf.case import ConfTest


class ForecasterTest(ConfTest):
    def test_a_file_without_the_group(self) -> None:
        group = self.read().forecaster
        self.assertEqual(socket.gethostname(), group.host)
        self.assertIsNone(group.transport_url)

    def test_a_file_with_it(self) -> None:
        conf = self.read("[forecaster]\ntopic = f2\nrpc_timeout = 0.5\nsend_instances = no\n")
        group = conf.forecaster
        self.assertEqual(("f2", 0.5, False), (group.topic, group.rpc_timeout, group.send_instances))

    def test_a_host_may_have_an_underscore(self) -> None:
        for host in ("cache_1", "cache_1.example.org", "192.0.2.1", "2001:db8::1"):
            with self.subTest(host):
                self.assertEqual(host, self.read(f"[forecaster]\nhost = {host}\n").forecaster.host)

    def test_values_that_cannot_work(self) -> None:
        for name, text in (
            ("max_silence", "0"),
            ("rpc_timeout", "0"),
            ("overload_threshold", "-1"),
        ):
            with self.subTest(name), self.assertRaises((ValueError, cfg.ConfigFileValueError)):
                self.read(f"[forecaster]\n{name} = {text}\n").forecaster[name]

    def test_topics_that_must_be_equal_are_by_default(self) -> None:
        ours = {option.name: option.default for option in forecaster.OPTS}
        theirs = {option.name: option.default for option in scheduler.OPTS}
        self.assertEqual(theirs["forecaster_topic"], ours["topic"])
        self.assertEqual(theirs["topic"], ours["scheduler_topic"])
        self.assertEqual(theirs["overload_threshold"], ours["overload_threshold"])

    def test_the_sample_lists_the_group(self) -> None:
        [(group, options)] = forecaster.list_opts()
        self.assertEqual(("forecaster", forecaster.OPTS), (str(group), options))

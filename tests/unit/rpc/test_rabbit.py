"""The driver fixes what both sides must agree on, and leaves the rest to the operator."""

import unittest
from unittest import mock

import kombu.entity
import oslo_messaging
from oslo_messaging._drivers import amqp, common, impl_rabbit

from nova_cachemig.rpc import rabbit
from tests.unit.rpc.endpoints import new_conf

URL = "rabbit://user:secret@rabbit1:5671,user:secret@rabbit2:5671/cell?ssl=true"


class UrlTest(unittest.TestCase):
    def parsed(self, url: str) -> oslo_messaging.TransportURL:
        return oslo_messaging.TransportURL.parse(new_conf(), url)

    def test_selects_our_driver_and_keeps_the_rest(self) -> None:
        url = self.parsed(URL)
        own = rabbit.own_url(url)
        self.assertEqual(rabbit.ENTRY_POINT, own.transport)
        self.assertEqual("rabbit", url.transport)
        self.assertEqual((url.hosts, url.virtual_host), (own.hosts, own.virtual_host))
        self.assertEqual({"ssl": "true"}, own.query)

    def test_leaves_other_drivers_alone(self) -> None:
        url = self.parsed("fake://")
        self.assertIs(url, rabbit.own_url(url))


class ConsumeTest(unittest.TestCase):
    def test_it_pauses_while_rabbitmq_refuses_the_connection(self) -> None:
        connection = object.__new__(rabbit._Connection)
        refused = oslo_messaging.MessageDeliveryFailure("(530) NOT_ALLOWED")
        with (
            mock.patch.object(impl_rabbit.Connection, "consume", side_effect=refused) as consume,
            mock.patch.object(rabbit, "time") as clock,
            self.assertRaises(common.Timeout),
        ):
            connection.consume(timeout=3.0)
        consume.assert_called_once_with(timeout=3.0)
        clock.sleep.assert_called_once_with(rabbit.REFUSED_PAUSE)


class ChannelError(Exception):
    def __init__(self, code: int) -> None:
        self.code = code


class PublishTest(unittest.TestCase):
    def setUp(self) -> None:
        self.link = link = object.__new__(rabbit._Connection)
        link._declared_exchanges = set()
        link.connection = mock.Mock(channel_errors=(ChannelError,))
        self.channel = link.connection.channel.return_value
        parent = mock.patch.object(impl_rabbit.Connection, "_publish")
        self.sent = self.enterContext(parent)

    def publish(self, kind: str = "topic") -> None:
        self.link._publish(kombu.entity.Exchange("e", kind), "message", routing_key="t")

    def test_an_exchange_that_exists_is_looked_up_once(self) -> None:
        self.publish()
        self.publish()
        self.channel.exchange_declare.assert_called_once_with("e", "topic", passive=True)
        self.channel.close.assert_called_once_with()
        self.assertEqual(2, self.sent.call_count)

    def test_without_an_exchange_no_server_listens(self) -> None:
        self.channel.exchange_declare.side_effect = ChannelError(404)
        for _ in range(2):  # it may exist later
            with self.assertRaises(oslo_messaging.MessageUndeliverable):
                self.publish()
        self.assertEqual(2, self.channel.close.call_count)
        self.publish("fanout")
        self.sent.assert_not_called()

    def test_another_error_is_the_drivers(self) -> None:
        self.channel.exchange_declare.side_effect = ChannelError(403)
        self.assertRaises(ChannelError, self.publish)


class DriverTest(unittest.TestCase):
    def driver(self, url: str) -> rabbit.Driver:
        conf = new_conf()
        parsed = rabbit.own_url(oslo_messaging.TransportURL.parse(conf, url))
        return rabbit.Driver(conf, parsed, default_exchange="nova")

    def test_our_flags_take_precedence(self) -> None:
        url = "rabbit://rabbit1/?rabbit_quorum_queue=false&use_queue_manager=true&ssl=true"
        options = self.driver(url).conf.oslo_messaging_rabbit
        known = {option.dest for option in (*impl_rabbit.rabbit_opts, *amqp.amqp_opts)}
        for name in known & set(rabbit.FLAGS):
            expected = {"true": True, "false": False, "0": 0}[rabbit.FLAGS[name]]
            self.assertEqual(expected, options[name], name)
        self.assertTrue(options.ssl)  # the operator's

    def test_our_flags_take_precedence_over_the_proxy_of_novas_transport(self) -> None:
        conf = new_conf()
        novas = oslo_messaging.TransportURL.parse(conf, "rabbit://rabbit1/")
        conf.register_opts([*impl_rabbit.rabbit_opts, *amqp.amqp_opts], "oslo_messaging_rabbit")
        proxy = common.ConfigOptsProxy(conf, novas, "oslo_messaging_rabbit")
        driver = rabbit.Driver(proxy, rabbit.own_url(novas), default_exchange="nova")
        self.assertTrue(driver.conf.oslo_messaging_rabbit.rabbit_quorum_queue)
        self.assertTrue(driver.conf.oslo_messaging_rabbit.amqp_durable_queues)

    def test_the_names_of_queues_for_responses_are_ours(self) -> None:
        driver = self.driver("rabbit://rabbit1/")
        first, second = (driver._get_reply_queue_name() for _ in range(2))
        self.assertTrue(first.startswith(rabbit.REPLIES))
        self.assertNotEqual(first, second)

    def test_every_flag_is_an_option_of_this_release(self) -> None:
        known = {option.dest for option in (*impl_rabbit.rabbit_opts, *amqp.amqp_opts)}
        self.assertEqual(set(), set(rabbit.FLAGS) - known)

"""Two agents on one topic of a real RabbitMQ: one serves, the other steps back."""

from __future__ import annotations

import json
import logging
import tempfile
import time
import unittest
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any
from unittest import mock

import amqp

from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc import ownership, server
from nova_cachemig.rpc.ownership import Claim, TopicOwner
from nova_cachemig.rpc.server import RpcServer
from tests.functional.rpc.broker import Broker
from tests.unit.rpc.endpoints import RecordingEndpoint, new_conf

LIMIT = 60.0
ALL = (".*", ".*", ".*")
OWN = (r"^nova-cachemig.*$", r"^(nova-cachemig.*|amq\.default)$", r"^nova-cachemig.*$")
NOT_THE_OWNER = (r"^nova-cachemig[-.](agent|rpc|reply).*$", ".*", ".*")
QUEUE = "nova-cachemig.owner.nova-cachemig-agent"


def definitions(**rights: tuple[str, str, str]) -> dict[str, Any]:
    """RabbitMQ's definitions of users with these rights: the password is "secret", or "guest"."""
    users, permissions = [], []
    for name, (configure, write, read) in rights.items():
        salt, password = b"salt", b"guest" if name == "guest" else b"secret"
        users.append(
            {
                "name": name,
                "password_hash": b64encode(salt + sha256(salt + password).digest()).decode(),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "",
            }
        )
        granted = {"configure": configure, "write": write, "read": read}
        permissions.append({"user": name, "vhost": "/", **granted})
    return {"vhosts": [{"name": "/"}], "users": users, "permissions": permissions}


class OwnershipTest(unittest.TestCase):
    broker: Broker
    user = "cachemig"

    @classmethod
    def setUpClass(cls) -> None:
        for name in ("oslo.messaging", "oslo_messaging", "amqp"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        directory = cls.enterClassContext(tempfile.TemporaryDirectory())
        path = Path(directory) / "definitions.json"
        path.write_text(json.dumps(definitions(guest=ALL, cachemig=OWN, limited=NOT_THE_OWNER)))
        cls.broker = Broker(f"load_definitions = {path}", strict=True)
        cls.addClassCleanup(cls.broker.close)
        cls.broker.start()

    def setUp(self) -> None:
        self.enterContext(mock.patch.multiple(server, BACKOFF=(0.2,), CHECK_EVERY=0.5))
        self.enterContext(mock.patch.multiple(ownership, GRACE=3.0, POLL=0.5, RETRY=0.2))

    @property
    def url(self) -> str:
        return self.broker.address(login=f"{self.user}:secret")

    def agent(self, host: str) -> RpcServer:
        conf, topic = new_conf(), "nova-cachemig-agent"
        served = contract.server(
            conf,
            RecordingEndpoint(),
            host=host,
            topic=topic,
            transport_url=self.url,
            ownership=TopicOwner(conf, topic, host, self.url),
        )
        self.addCleanup(served.stop)
        served.start()
        return served

    def listening(self, host: str) -> RpcServer:
        served = self.agent(host)
        self.assertTrue(served.wait_listening(LIMIT), served.why_not)
        return served

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.05)  # the state of another process, without a notification

    def claim(self, served: RpcServer) -> Claim:
        owner = served._ownership
        assert isinstance(owner, TopicOwner)
        return owner.claim

    def connection(self) -> amqp.Connection:
        where = f"127.0.0.1:{self.broker.port}"
        connection = amqp.Connection(where, userid="cachemig", password="secret")
        connection.connect()
        self.addCleanup(connection.close)
        return connection

    def consumers(self) -> int:
        """Return the number of agents between which RabbitMQ deals the messages of the topic."""
        channel = self.connection().channel()
        return int(channel.queue_declare("nova-cachemig-agent", passive=True).consumer_count)

    def test_the_later_one_steps_back_and_takes_over_when_the_first_is_gone(self) -> None:
        first = self.listening("cache1")
        with self.assertLogs("nova_cachemig.rpc", "ERROR") as logged:
            second = self.agent("cache2")
            self.until(lambda: bool(second.why_not))
        [line] = logged.output
        self.assertIn("agent cache1 serves this topic: stop one of the two", line)
        self.assertFalse(second.listening)
        self.assertTrue(first.listening)
        self.assertEqual(1, self.consumers())
        first.stop()
        self.assertTrue(second.wait_listening(LIMIT))
        self.assertEqual("", second.why_not)
        self.assertEqual(Claim.OURS, self.claim(second))

    def test_a_restart_of_the_first_keeps_the_topic(self) -> None:
        first = self.listening("cache1")
        second = self.agent("cache2")
        self.until(lambda: bool(second.why_not))
        first.stop()
        again = self.listening("cache1")
        self.assertEqual(Claim.OURS, self.claim(again))
        self.assertFalse(second.listening)
        self.assertEqual(1, self.consumers())

    def test_two_that_start_together_do_not_both_step_back(self) -> None:
        agents = [self.agent(host) for host in ("cache1", "cache2")]
        self.until(lambda: any(one.listening for one in agents))
        self.until(lambda: any(bool(one.why_not) for one in agents))
        self.assertEqual(1, sum(one.listening for one in agents))
        self.until(lambda: self.consumers() == 1)

    def test_a_restart_of_rabbitmq_keeps_the_topic(self) -> None:
        first = self.listening("cache1")
        second = self.agent("cache2")
        self.until(lambda: bool(second.why_not))
        self.broker.stop()
        self.until(lambda: not first.listening)
        self.assertTrue(second.why_not)
        self.broker.start()
        self.assertTrue(first.wait_listening(LIMIT))
        self.until(lambda: self.claim(first) is Claim.OURS)
        self.assertFalse(second.listening)

    def test_one_whose_queue_a_broken_connection_holds_serves(self) -> None:
        broken = self.connection()
        broken.channel().queue_declare(QUEUE, exclusive=True)
        served = self.listening("cache1")
        self.assertEqual(Claim.STALE, self.claim(served))
        broken.close()
        self.until(lambda: self.claim(served) is Claim.OURS)
        self.assertTrue(served.listening)

    def test_one_without_the_rights_serves_and_says_so(self) -> None:
        self.user = "limited"
        with self.assertLogs("nova_cachemig.rpc", "WARNING") as logged:
            served = self.listening("cache1")
        self.assertEqual(Claim.UNKNOWN, self.claim(served))
        [line] = logged.output
        self.assertIn("cannot find out whether another agent serves topic", line)
        self.assertIn("grant it configure, write and read", line)

    def test_nothing_is_left_in_rabbitmq(self) -> None:
        served = self.listening("cache1")
        watcher = self.connection()
        with self.assertRaises(amqp.ResourceLocked):
            watcher.channel().queue_declare(QUEUE, passive=True)
        served.stop()
        with self.assertRaises(amqp.NotFound):
            watcher.channel().queue_declare(QUEUE, passive=True)


if __name__ == "__main__":
    unittest.main()

import enum
import json
import math
import socket
import tempfile
import unittest
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from oslo_config import cfg

from nova_cachemig.rpc import bus

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Colour(enum.StrEnum):
    RED = "red"


class Unreachable(unittest.TestCase):
    def test_each_broker_and_its_cause_are_named_without_the_password(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            url = f"rabbit://a:secret@127.0.0.1:1,a:secret@127.0.0.1:{port}/"
            found = bus.why_unreachable(cfg.ConfigOpts(), url)
        self.assertEqual(
            f"127.0.0.1:1: Connection refused; 127.0.0.1:{port}: accepts connections, but no "
            "login: check user, password, vhost and TLS",
            found,
        )


class Url(unittest.TestCase):
    def test_what_is_wrong_with_it_is_one_sentence(self) -> None:
        for url, words in (
            ("rabit://a:secret@h/", "no message bus has the scheme rabit://, write rabbit://"),
            ("nonsense", "No scheme specified"),
            ("rabbit://a:secret@h:port/", "'port'"),
            ("rabbit://a:secret@[::1/", "Invalid IPv6 URL"),
            ("rabbit://a:secret@h/?ssl=maybe", "ssl=maybe: Unexpected boolean value 'maybe'"),
            ("rabbit://a:secret@h/?heartbeat_rate=x", "heartbeat_rate=x: invalid .*: 'x'"),
            ("kafka://h/", "kafka:// carries .* no RPC: name a RabbitMQ, rabbit://"),
        ):
            with self.subTest(url), self.assertRaises(cfg.Error) as caught:
                bus.require_url(cfg.ConfigOpts(), url)
            self.assertRegex(str(caught.exception), f"^transport_url is not valid: .*{words}$")

    def test_a_dollar_sign_in_the_password(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "nova-cachemig.conf")
        path.write_text("[DEFAULT]\ntransport_url = rabbit://a:hid$den@h/\n")
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(path)])
        with self.assertRaises(cfg.Error) as caught:
            bus.require_url(conf)
        text = "transport_url is not valid: write $$ for a dollar sign"
        self.assertEqual(text, str(caught.exception))


class Primitives(unittest.TestCase):
    @given(JSON)
    def test_what_json_gives_back_unchanged_is_let_through(self, value: Any) -> None:
        bus.check_primitive(value)
        self.assertEqual(value, json.loads(json.dumps(value)))

    @given(JSON, st.sampled_from([b"", (1,), {1}, Colour.RED, object()]))
    def test_anything_else_is_refused_wherever_it_hides(self, value: Any, odd: Any) -> None:
        for hidden in (odd, [value, odd], {"key": odd}, {"a": [value, {"b": odd}]}):
            with self.assertRaises(bus.NotPrimitiveError):
                bus.check_primitive(hidden)

    def test_the_place_is_named(self) -> None:
        with self.assertRaisesRegex(bus.NotPrimitiveError, r"value\['a'\]\[1\] is a Colour"):
            bus.check_primitive({"a": [0, Colour.RED]})
        with self.assertRaisesRegex(bus.NotPrimitiveError, "key that is a int"):
            bus.check_primitive({1: "a"})

    def test_nan_is_a_float_like_any_other(self) -> None:
        self.assertIsNone(bus.check_primitive(math.nan))


class Context(unittest.TestCase):
    def test_only_the_request_id_is_sent(self) -> None:
        serializer = bus.PrimitiveSerializer()
        full = {"request_id": "req-1", "auth_token": "secret", "user": "me"}
        self.assertEqual({"request_id": "req-1"}, serializer.serialize_context(full))
        self.assertEqual({}, serializer.serialize_context({"auth_token": "secret"}))
        self.assertEqual({"age": 1.0}, serializer.serialize_context({"age": 1.0, "user": "u"}))


class Bus(unittest.TestCase):
    def test_a_conf_of_ones_own_can_call(self) -> None:
        # oslo.messaging registers the options of these groups on cfg.CONF only.
        conf = cfg.ConfigOpts()
        conf([])
        bus.transport(conf, "fake://")
        self.assertIn("oslo_messaging_metrics", conf)

    def test_the_exchange_does_not_depend_on_control_exchange(self) -> None:
        self.assertEqual("nova-cachemig.rpc", bus.target("topic", "1.0").exchange)
        self.assertEqual("cache1", bus.target("topic", "1.0", "cache1").server)

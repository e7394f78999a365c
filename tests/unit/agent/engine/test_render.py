"""The rendered configuration files."""

from __future__ import annotations

import re
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.engine import names, render
from nova_cachemig.conf import engine as options


def config(**overrides: object) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    options.register(conf)
    conf([])
    for name, value in overrides.items():
        conf.set_override(name, value, group="engine")
    return conf


PATHS = render.Paths(Path("/run/x"))


def section(text: str, name: str) -> str:
    found = re.search(rf"^{name}\n((?:(?:[ #].*)?\n)*)", text, re.M)
    assert found is not None, name
    return found.group(1)


class Haproxy(unittest.TestCase):
    def setUp(self) -> None:
        self.text = render.haproxy(config(), PATHS, "/run/i.sock", ["10.0.0.2:80", "10.0.0.1:80"])

    def test_each_front_address_has_a_bind_of_its_name(self) -> None:
        binds = re.findall(r"^    bind (\S+) name (\S+)$", self.text, re.M)
        self.assertEqual([("10.0.0.1:80",) * 2, ("10.0.0.2:80",) * 2], binds)

    def test_the_order_of_binds_changes_nothing(self) -> None:
        again = render.haproxy(config(), PATHS, "/run/i.sock", ["10.0.0.1:80", "10.0.0.2:80"])
        self.assertEqual(self.text, again)

    def test_only_networks_of_proxies_begin_with_the_proxy_protocol(self) -> None:
        self.assertNotIn("expect-proxy", self.text)
        bind = names.with_proxies("10.0.0.1:80 ssl crt-list /l", "10.1.0.0/16 ::1/128")
        text = render.haproxy(config(), PATHS, "/i", [bind, "10.0.0.2:80"])
        self.assertIn("    bind 10.0.0.1:80 ssl crt-list /l name 10.0.0.1:80\n", text)
        rule = "tcp-request connection expect-proxy layer4 if { so_name 10.0.0.1:80 }"
        self.assertEqual(1, text.count("expect-proxy"))
        self.assertIn(f"    {rule} {{ src 10.1.0.0/16 ::1/128 }}\n", text)

    def test_each_server_of_a_guest_has_one_for_each_version_of_the_proxy_protocol(self) -> None:
        for name in ("guest", "guest_stream", "guest_write", "guest_personal", "fetch"):
            text = section(self.text, f"backend {name}")
            self.assertEqual(1, len(re.findall(r"server proxy1 .* send-proxy weight 0", text)))
            self.assertEqual(1, len(re.findall(r"server proxy2 .* send-proxy-v2 weight 0", text)))

    def test_the_first_rule_deletes_the_clients_headers(self) -> None:
        rules = re.findall(r"^    http-request (.*)$", section(self.text, "listen edge"), re.M)
        after_the_short_path = rules.index("unset-var(txn.to)") + 1
        self.assertEqual("allow if short", rules[after_the_short_path - 3])
        self.assertEqual("del-header X-Cachemig- -m beg", rules[after_the_short_path])

    def test_a_write_is_never_sent_twice(self) -> None:
        for name in ("backend guest_write", "backend intake", "listen journal"):
            text = section(self.text, name)
            self.assertIn("http-reuse never", text)
            self.assertEqual(["conn-failure"], re.findall(r"retry-on (.*)", text))

    def test_only_reads_retry_more_than_connections(self) -> None:
        found = re.findall(r"^    retry-on (.*)$", self.text, re.M)
        more = [f for f in found if f != "conn-failure"]
        self.assertEqual(4, len(more))
        for name in (
            "backend cache",
            "backend cache_patient",
            "backend direct",
            "backend direct_again",
        ):
            self.assertIn("retry-on conn-failure empty-response 425", section(self.text, name))
        self.assertIn("retries 0\n", section(self.text, "backend fetch_first"))

    def test_a_request_may_be_held_for_as_long_as_the_timeout_says(self) -> None:
        text = render.haproxy(
            config(hold_timeout=90, connect_patience=30), PATHS, "/run/i.sock", ["10.0.0.2:80"]
        )
        self.assertIn("tune.lua.session-timeout 120s\n", text)

    def test_the_inner_listeners_are_unix_sockets(self) -> None:
        for bind in re.findall(r"^    bind (\S+)", self.text, re.M):
            self.assertTrue(bind.startswith(("10.0.0.", "unix@/run/x/")), bind)
        self.assertNotIn("stats enable", self.text)
        self.assertEqual(7, len(re.findall(r"^    bind unix@\S+ mode 600$", self.text, re.M)))

    def test_the_patience_is_a_number_of_retries(self) -> None:
        text = render.haproxy(
            config(connect_patience=10, connect_timeout=300, fetch_connect_timeout=100),
            PATHS,
            "/i",
            [],
        )
        self.assertIn("retries 34\n", section(text, "backend guest"))
        self.assertIn("retries 100\n", section(text, "backend fetch"))

    def test_forwarded_for_is_an_option(self) -> None:
        rule = r"^    http-request set-var\(txn.xff_added\) bool\(true\) (\w+) .* -m str (\S+) }$"
        self.assertEqual([("unless", "no-xff")], re.findall(rule, self.text, re.M))
        text = render.haproxy(config(forwarded_for=False), PATHS, "/i", [])
        self.assertEqual([("if", "xff")], re.findall(rule, text, re.M))


class Others(unittest.TestCase):
    def test_the_lua_knows_the_maps(self) -> None:
        text = render.lua(config(hold_timeout=7), PATHS)
        self.assertIn('local STATE_MAP = "/run/x/state.map"', text)
        self.assertIn("local MAX_HOLD_MILLISECONDS = 7000", text)

    def test_the_vcl_does_not_grow_with_services_and_is_all_rendered(self) -> None:
        text = render.varnish(config(stale_max=123), PATHS)
        self.assertIn("set beresp.grace = 123s;", text)
        self.assertNotIn("{{", text)

    def test_map_text(self) -> None:
        self.assertEqual("a 1\nb 2\n", render.map_text({"a": "1", "b": "2"}))


class OptionLimits(unittest.TestCase):
    def test_bad_values_are_refused(self) -> None:
        bad: dict[str, object] = {
            "runtime_dir": "relative",
            "cache_size": "lots",
            "threads": 0,
            "hold_timeout": 0,
            "connect_timeout": 1,
            "max_clients": -1,
        }
        for name, value in bad.items():
            with self.assertRaises(ValueError, msg=name):
                config(**{name: value})
        with self.assertRaises(ValueError):
            config(runtime_dir="/tmp/a b")

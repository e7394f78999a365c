"""[agent]: bounds."""

from __future__ import annotations

import socket

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class AgentOptions(ConfTest):
    def test_the_host_is_this_node(self) -> None:
        self.assertEqual(socket.gethostname(), self.read().agent.host)

    def test_a_host_may_have_an_underscore(self) -> None:
        for host in ("cache_1", "cache_1.example.org", "192.0.2.1", "2001:db8::1"):
            with self.subTest(host):
                self.assertEqual(host, self.read(f"[agent]\nhost = {host}\n").agent.host)

    def test_bounds(self) -> None:
        for line in ("reload_interval = 0", "warm_time = -1", "ask_nova_after = 0", "host = a b"):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[agent]\n{line}\n")

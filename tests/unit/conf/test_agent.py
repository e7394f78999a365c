"""[agent]: bounds."""

from __future__ import annotations

import socket

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class AgentOptions(ConfTest):
    def test_the_host_is_this_node(self) -> None:
        self.assertEqual(socket.gethostname(), self.read().agent.host)

    def test_bounds(self) -> None:
        for line in ("reload_interval = 0", "warm_time = -1", "ask_nova_after = 0", "host = a b"):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[agent]\n{line}\n")

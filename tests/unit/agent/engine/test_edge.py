"""HAProxy's output, its configuration and its addresses, without HAProxy."""

from __future__ import annotations

import asyncio
import socket
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.engine import capacity, render
from nova_cachemig.agent.engine.admin import Admin
from nova_cachemig.agent.engine.edge import Edge
from tests.unit.agent.engine.test_render import config

TABLE = """# table: writes, type: string, size:102400, used:2
0x7f01: key=shop use=1 exp=0 conn_cur=3
0x7f02: key=shop2 use=1 exp=0 conn_cur=9"""

WRITING = """\
# table: writing, type: string, size:102400, used:2
0x55a1: key=AB12 use=1 exp=29990 shard=0 conn_cur=1 gpc0=3 gpc1=2
0x55a2: key=CD34 use=2 exp=29990 shard=0 conn_cur=2 gpc0=2 gpc1=0"""


class ScriptedAdmin(Admin):
    """Responds to each command with a text of the test."""

    def __init__(self, outputs: dict[str, str]) -> None:
        super().__init__(Path("/none"), 1)
        self._outputs = outputs

    async def exchange(self, *commands: str, repeat: bool = True) -> list[str]:
        return [self._outputs[one] for one in commands]


class EdgeTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.paths = render.Paths(Path(folder.name))
        self.conf = config()
        self.edge = Edge(self.conf, self.paths, "/i")

    def script(self, command: str, output: str) -> None:
        self.edge.admin = ScriptedAdmin({command: output})

    async def test_open_requests_of_exactly_one_service(self) -> None:
        self.script("show table holding data.conn_cur gt 0", TABLE)
        found = await asyncio.gather(*(self.edge.open_requests(n) for n in ("shop", "sho")))
        self.assertEqual([3, 0], found)

    async def test_the_descriptors_are_those_of_the_worker_that_responds(self) -> None:
        info = "Name: HAProxy\nPid: 77\nnode:"
        line = " 13 : st=0 back=1 lport=41001 rport=80 sv=fetch/guest -"
        self.edge.admin = ScriptedAdmin({"show info": info, "show fd": line})
        found = await self.edge.guests.descriptors()
        self.assertEqual((77, {41001: [13]}), (found.worker, found.reads))

    async def test_the_pages_of_writes_in_flight(self) -> None:
        self.script("show table writing data.conn_cur gt 0", WRITING)
        self.assertEqual({"AB12", "CD34"}, await self.edge.unanswered_writes())

    async def test_worker_pid(self) -> None:
        self.script("show info", "Name: HAProxy\nPid: 77\nnode:")
        self.assertEqual("77", await self.edge.worker_pid())

    def test_a_changed_option_makes_the_configuration_differ(self) -> None:
        self.assertTrue(self.edge.config_differs())
        self.paths.haproxy_cfg.write_text(render.haproxy(self.conf, self.paths, "/i", []))
        self.assertFalse(self.edge.config_differs())
        self.conf.set_override("retry_after", 77, group="engine")
        self.assertTrue(self.edge.config_differs())

    def test_addresses_for_which_there_are_no_files(self) -> None:
        binds = {f"127.0.0.{n}:0" for n in range(1, 50)}
        self.conf.set_override("max_clients", 10, group="engine")
        with mock.patch.object(capacity, "open_file_limit", return_value=400):
            found = self.edge.unusable(binds)
        self.assertEqual(29, len(found))
        self.assertIn("raise the limit", next(iter(found.values())))

    def test_an_address_in_use_or_of_another_node_is_refused(self) -> None:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            bind = f"127.0.0.1:{sock.getsockname()[1]}"
            self.assertIn(f"cannot listen on {bind}", self.edge.unusable({bind})[bind])
            self.edge.binds = {bind}
            self.assertEqual({}, self.edge.unusable({bind}))  # HAProxy itself listens there
        found = self.edge.unusable({"192.0.2.7:80", "[::1]:0", "127.0.0.1:0"})
        self.assertEqual({"192.0.2.7:80"}, found.keys())

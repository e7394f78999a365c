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

DESCRIPTORS = """\
 12 : st=0x20 cl fe=edge mode=http lport=80 rport=5000
 13 : st=0x21 cl back=1 lport=41001 rport=8080 px=fetch sv=fetch/guest sc=1
 14 : st=0x21 cl back=1 lport=41002 rport=8080 px=guest_write sv=guest_write/guest sc=1
 15 : st=0x21 cl back=1 lport=41003 rport=8080 px=fetch sv=fetch/guest sc=1"""

IDLE = """\
 12 : st=0x20 cl back=0 lport=80 rport=5000 fe=edge mux=H1 ctx=0x1 h1c.flg=0x40400 xprt=RAW
 13 : st=0x21 cl back=1 lport=41001 rport=80 sv=guest/guest mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 14 : st=0x21 cl back=1 lport=41002 rport=80 sv=guest/guest mux=H1 ctx=0x1 h1s=0x2 xprt=RAW
 15 : st=0x21 cl back=1 lport=41003 rport=80 sv=fetch/guest mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 16 : st=0x21 cl back=1 lport=41004 rport=80 sv=guest_personal/guest mux=H1 ctx=0x1 xprt=RAW
 17 : st=0x21 cl back=1 lport=41005 rport=80 sv=guest_stream/guest mux=H2 .nbst=0 .nbsc=0 xprt=RAW
 18 : st=0x21 cl back=1 lport=41006 rport=80 sv=guest_stream/guest mux=H2 .nbst=2 .nbsc=2 xprt=RAW
 19 : st=0x21 cl back=1 sv=cache/varnish mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 20 : st=0x21 cl back=1 lport=41007 rport=80 sv=guest_write/guest mux=H1 ctx=0x1 xprt=RAW"""

WAITING = """\
 13 : lport=41001 rport=80 sv=fetch/guest h1s=2 .req.state=MSG_DONE .res.state=MSG_RPBEFORE
 14 : lport=41002 rport=80 sv=fetch/guest h1s=2 .req.state=MSG_DONE .res.state=MSG_DATA
 15 : lport=41003 rport=80 sv=fetch/guest h1c.flg=0x4 xprt=RAW
 16 : lport=41004 rport=80 sv=guest/guest h1s=2 .req.state=MSG_DONE .res.state=MSG_RPBEFORE
 17 : lport=41005 rport=80 sv=fetch_first/guest h1s=2 .req.state=MSG_DONE .res.state=MSG_RPBEFORE"""

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

    async def test_fetch_ports_are_those_of_reads_only(self) -> None:
        self.script("show fd", DESCRIPTORS)
        self.assertEqual({41001, 41003}, await self.edge.fetch_ports())

    async def test_reads_without_a_response_wait(self) -> None:
        self.script("show fd", WAITING)
        self.assertEqual({41001, 41005}, await self.edge.waiting_ports())

    async def test_the_descriptors_of_other_connections_to_guests(self) -> None:
        self.script("show fd", DESCRIPTORS)
        self.assertEqual({41002: 14}, await self.edge.other_fds())

    async def test_idle_ports_are_those_without_a_request(self) -> None:
        self.script("show fd", IDLE)
        self.assertEqual({41001, 41003, 41005, 41007}, await self.edge.idle_ports())

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

"""The engines as the command line sees them, with processes and a socket that stand for them."""

from __future__ import annotations

import asyncio

from oslo_config import cfg

from nova_cachemig.agent.engine import offline
from nova_cachemig.agent.engine.process import Process
from nova_cachemig.conf import engine as options
from tests.unit.agent.engine.case import SHELL, SLEEP, ProcessCase

STAT = "# pxname,svname,qcur,qmax,scur,smax\nedge,FRONTEND,,,3,9\nedge,FRONTEND,,,2,9\n"
MAP = "0x1 shop shielded:1\n"
REPLIES = {
    "prompt": "",
    "show info": "Name: HAProxy\nVersion: 2.6.12\nCurrConns: 9\n",
    "show stat edge 1 -1": STAT,
}


class OfflineTest(ProcessCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.conf = cfg.ConfigOpts()
        options.register(self.conf)
        self.conf([])
        self.conf.set_override("runtime_dir", str(self.folder), "engine")

    def start(self, name: str, *argv: str) -> Process:
        process = Process(name, list(argv) or [SLEEP, "60"], self.folder)
        self.spawn(process)
        return process

    async def admin(self) -> None:
        """Listen like HAProxy's admin socket."""

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while line := await reader.readline():
                text = line.decode().strip()
                reply = MAP if text.startswith("show map") else REPLIES[text]
                writer.write(f"{reply}\n> ".encode())

        path = str(self.folder / "admin.sock")
        server = await asyncio.start_unix_server(serve, path)
        self.addCleanup(server.close)

    async def test_nothing_runs(self) -> None:
        found = await offline.status(self.conf)
        self.assertEqual([("haproxy", None), ("varnishd", None)], [(e.name, e.pid) for e in found])
        self.assertEqual([], await offline.stop(self.conf, 1.0))

    async def test_the_edge_says_what_it_does(self) -> None:
        haproxy, varnishd = self.start("haproxy"), self.start("varnishd")
        await self.admin()
        edge, cache = await offline.status(self.conf)
        self.assertEqual((haproxy.pid, "2.6.12", 5), (edge.pid, edge.version, edge.connections))
        self.assertEqual(("shop",), edge.in_handover)
        self.assertEqual((varnishd.pid, None), (cache.pid, cache.in_handover))

    async def test_an_edge_that_does_not_respond_is_still_shown(self) -> None:
        self.conf.set_override("admin_timeout", 1, "engine")
        haproxy = self.start("haproxy")
        edge, _ = await offline.status(self.conf)
        self.assertEqual((haproxy.pid, None, None), (edge.pid, edge.version, edge.connections))

    async def test_stop_uses_the_signals_of_a_soft_stop(self) -> None:
        trap = "trap 'exit 0' USR1; trap '' TERM; while :; do sleep 0.05; done"
        haproxy, varnishd = self.start("haproxy", SHELL, "-c", trap), self.start("varnishd")
        self.assertEqual(["haproxy", "varnishd"], await offline.stop(self.conf, 30.0))
        self.assertFalse(haproxy.is_running() or varnishd.is_running())

    async def test_patience_ends(self) -> None:
        haproxy = self.start("haproxy", SHELL, "-c", "trap '' USR1; while :; do sleep 0.05; done")
        self.assertEqual(["haproxy"], await offline.stop(self.conf, 0.2))
        self.assertFalse(haproxy.is_running())

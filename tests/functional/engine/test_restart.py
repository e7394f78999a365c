"""An agent that restarts beside running engines."""

from __future__ import annotations

import asyncio
import time
from unittest import mock

from nova_cachemig.agent.engine import offline, render
from nova_cachemig.agent.ports import ComponentError, alive_socket
from nova_cachemig.model.effects import EndedWrite
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import Response, read_head, until


class Restart(EngineCase):
    async def test_a_new_agent_adopts_the_engines_without_an_interruption(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.stored("/a")
        await self.set_pending("url:/held", True)
        await self.flip(EdgeState.SHIELDED)
        pids = self.engine.pids
        waiting = asyncio.create_task(self.get("/b"))
        held = asyncio.create_task(self.get("/held"))
        await self.holding(2)
        await self.engine.detach()
        reader, writer = await asyncio.open_connection(*self.edge)
        self.assertEqual(before.body, (await self.get("/a")).body)
        self.engine = self.new_engine()
        await self.engine.start()
        self.assertEqual(pids, self.engine.pids)
        self.assertEqual([SERVICE], self.engine.services_in_handover())
        self.assertEqual(EdgeState.SHIELDED, self.engine.state(SERVICE))
        await self.engine.apply([self.route(self.service)])
        self.assertEqual(before.body, (await self.get("/a")).body)
        await self.flip(EdgeState.REPLAY)
        self.assertEqual(200, (await waiting).status)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await held).status)
        writer.write(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        self.assertIn("200", (await read_head(reader))[0])  # the client's connection survived
        writer.close()

    async def test_after_a_crash_of_the_agent_only_reads_of_waiting_writes_are_held(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = {url: (await self.stored(url)).body for url in ("/kept", "/ended", "/made")}
        for key in ("url:/ended", "client:10.9.9.9", "url:/waits"):
            await self.set_pending(key, True)
        await self.flip(EdgeState.SHIELDED)
        await self.engine.detach()
        self.engine = self.new_engine()
        await self.engine.start()
        ended = EndedWrite(SERVICE, "shop.example", ("/ended", "/made"), "10.9.9.9")
        await self.engine.replace_barrier({SERVICE: {"url:/waits"}}, [ended])
        await self.engine.apply([self.route(self.service)])
        self.assertEqual(before["/kept"], (await self.get("/kept")).body)
        waiting = [asyncio.create_task(self.get(url)) for url in ("/ended", "/made", "/waits")]
        await self.holding(3)
        await self.flip(EdgeState.REPLAY)
        for url, task in zip(("/ended", "/made"), waiting, strict=False):
            self.assertNotEqual(before[url], (await asyncio.wait_for(task, 5)).body)
        await self.holding(1)
        await self.set_pending("url:/waits", False)
        self.assertEqual(200, (await waiting[2]).status)

    async def test_other_options_apply_after_the_last_handover(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.engine.detach()
        self.conf.set_override("retry_after", 77, group="engine")
        self.engine = self.new_engine()
        await self.engine.start()
        await self.engine.apply([self.route(self.service)])
        text = (self.root / "haproxy.cfg").read_text
        self.assertNotIn("Retry-After 77", text())
        await self.flip(EdgeState.PASS)
        await until(lambda: "Retry-After 77" in text() and not self.engine._reload_lock.locked())
        self.assertEqual(200, (await self.get("/a")).status)

    async def test_an_edge_that_checks_the_agent_as_before_is_adopted(self) -> None:
        """Before, the check used the socket for writes."""
        await self.flip(EdgeState.PASS)
        await self._end()
        with mock.patch.object(render, "alive_socket", str):
            self.engine = self.new_engine()
            await self.engine.start()
            await self.engine.apply([self.route(self.service)])
        await self.agent_is_up()
        await self.flip(EdgeState.SHIELDED)
        await self.engine.detach()
        self.engine = self.new_engine()
        await self.engine.start()
        await self.engine.apply([self.route(self.service)])
        self.assertEqual("intake", (await self.write()).headers["x-from"])
        await self.flip(EdgeState.PASS)
        checks = f"server intake unix@{alive_socket(self.intake_socket)} check"
        text = (self.root / "haproxy.cfg").read_text
        await until(lambda: checks in text() and not self.engine._reload_lock.locked(), 20)
        await self.agent_is_up()
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual("intake", (await self.write()).headers["x-from"])

    async def write(self) -> Response:
        return await self.get("/w", method="POST", body=b"x")

    async def test_a_signal_right_after_a_reload_is_not_lost(self) -> None:
        # HAProxy's master process loses a signal that arrives in the first instants after a reload.
        for _ in range(2):
            async with asyncio.timeout(15):
                await self.engine._edge._reload()
        self.assertEqual(200, (await self.get("/a")).status)
        async with asyncio.timeout(10):
            await self.engine.stop()

    async def test_a_configuration_that_haproxy_refuses_is_reported_immediately(self) -> None:
        (self.root / "haproxy.cfg").write_text("global\n    maxconn 100000\n")
        begin = time.monotonic()
        with self.assertRaisesRegex(ComponentError, "refused to reload.*Cannot raise FD limit"):
            await self.engine._edge._reload()
        self.assertLess(time.monotonic() - begin, 10)
        self.assertEqual(200, (await self.get("/a")).status)

    async def test_the_command_line_sees_and_stops_them(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        reader, writer = await asyncio.open_connection(*self.edge)
        await self.engine.detach()
        pids = self.engine.pids
        async with asyncio.timeout(5):
            while (found := await offline.status(self.conf))[0].connections != 1:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        self.assertEqual(list(pids.values()), [one.pid for one in found])
        self.assertEqual((self.service.name,), found[0].in_handover)
        self.assertTrue(found[0].version)
        async with asyncio.timeout(10):
            self.assertEqual(["haproxy", "varnishd"], await offline.stop(self.conf, 5.0))
        self.assertEqual(b"", await reader.read())
        writer.close()
        self.assertEqual([None, None], [one.pid for one in await offline.status(self.conf)])

    async def test_stop_lets_requests_finish(self) -> None:
        self.guest.delays["/slow"] = 0.5
        self.guest.arrived.clear()
        slow = asyncio.create_task(self.get("/slow"))
        await self.guest.asked()
        await self.engine.stop()
        self.assertEqual(200, (await slow).status)
        self.assertEqual([None, None], list(self.engine.pids.values()))
        with self.assertRaises(OSError):
            await self.get("/a")

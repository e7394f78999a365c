"""An agent that restarts beside running engines."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase
from tests.functional.engine.servers import read_head, until


class Restart(EngineCase):
    async def test_a_new_agent_adopts_the_engines_without_an_interruption(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.get("/a")
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

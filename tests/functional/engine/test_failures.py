"""Dead engines, a dead agent, reloads, bad input."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import struct
import tempfile
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route, Target
from tests.functional.engine.rig import SERVICE, EngineCase, config
from tests.functional.engine.servers import Answer, Intake, fetch, free_port, read_head, until


class Engines(EngineCase):
    async def eventually(self, url: str, **kwargs: object) -> Answer:
        """The answer of the first try that gets one."""
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    return await self.get(url, **kwargs)
                await asyncio.sleep(0.01)

    async def another_haproxy_than(self, master: int) -> None:
        await until(lambda: self.engine.pids["haproxy"] != master)

    async def test_haproxy_comes_back_with_its_state(self) -> None:
        for victim in ("master", "worker"):
            await self.flip(EdgeState.ARMED)
            before = await self.get("/a")
            await self.engine.invalidate(SERVICE, "shop.example", ["/b"])
            await self.engine.pending(SERVICE, "url:/held", True)
            await self.flip(EdgeState.SHIELDED)
            master = self.engine.pids["haproxy"]
            assert master is not None
            worker = int(await self.engine._edge._worker())
            os.kill(master if victim == "master" else worker, signal.SIGKILL)
            await self.another_haproxy_than(master)
            hit = await self.eventually("/a")
            self.assertEqual(before.body, hit.body)
            await self.server_is("agent/intake", "UP")
            held = asyncio.create_task(self.get("/held"))
            await self.holding(1)
            await self.engine.pending(SERVICE, "url:/held", False)
            await self.flip(EdgeState.REPLAY)
            self.assertEqual(200, (await held).status)
            await self.flip(EdgeState.PASS)
            self.assertEqual(200, (await self.get("/w", method="POST", body=b"x")).status)

    async def test_a_flip_while_haproxy_restarts_is_in_force_afterwards(self) -> None:
        master = self.engine.pids["haproxy"]
        assert master is not None
        os.kill(int(await self.engine._edge._worker()), signal.SIGKILL)
        await self.flip(EdgeState.SHIELDED)
        await self.another_haproxy_than(master)
        await self.eventually("/w", method="POST", body=b"x")
        self.assertEqual(EdgeState.SHIELDED, self.engine.state(SERVICE))
        await self.server_is("agent/intake", "UP")
        waiting = asyncio.create_task(self.get("/a"))
        await self.holding(1)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await waiting).status)

    async def test_varnish_dead_while_armed_goes_straight(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        self.guest.delays["/slow"] = 0.5
        slow = asyncio.create_task(self.get("/slow"))
        await asyncio.sleep(0.1)
        await self.kill_varnish()
        answers = await asyncio.gather(*(self.get("/a") for _ in range(20)))
        self.assertEqual({200}, {answer.status for answer in answers})
        self.assertEqual(200, (await slow).status)  # asked anew
        await self.server_is("cache/varnish", "UP")
        await self.get("/a")
        self.assertIn("hit", (await self.get("/a")).headers["cache-status"])

    async def test_varnish_dead_while_shielded_holds(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.kill_varnish()
        before = len(self.guest.seen)
        waiting = [asyncio.create_task(self.get("/a")) for _ in range(5)]
        await self.holding(5)
        self.assertEqual(before, len(self.guest.seen))
        await self.flip(EdgeState.REPLAY)
        answers = await asyncio.gather(*waiting)
        self.assertEqual({200}, {answer.status for answer in answers})

    async def kill_varnish(self) -> None:
        manager = self.engine.pids["varnishd"]
        assert manager is not None
        os.kill(manager, signal.SIGKILL)
        await until(lambda: not self._runs(manager))


class DeadAgent(EngineCase):
    """The intake's socket refuses: nobody can journal a write."""

    options = {"hold_timeout": 2}

    async def test_writes_go_straight_and_end_the_use_of_the_cache(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/other"))
        await self.holding(1)
        await self.intake.stop()
        answers = await asyncio.gather(
            *(self.get(f"/w{n}", method="POST", body=b"x") for n in range(10))
        )
        self.assertEqual({200}, {answer.status for answer in answers})
        for number in range(10):
            self.assertEqual(1, self.guest.count(f"/w{number}"))
        self.assertEqual(200, (await waiting).status)
        self.assertNotEqual((await self.get("/a")).body, (await self.get("/a")).body)
        # The agent is back: nothing stored before is trusted.
        self.intake = Intake(self.guest)
        await self.intake.listen(self.intake_socket)
        await self.server_is("agent/intake", "UP")
        await self.flip(EdgeState.ARMED)
        answer = await self.get("/w", method="POST", body=b"x")
        self.assertEqual("intake", answer.headers["x-from"])

    async def test_hits_stay_until_somebody_writes(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.get("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.intake.stop()
        await self.server_is("agent/intake", "DOWN")
        self.assertEqual(before.body, (await self.get("/a")).body)
        self.assertEqual(200, (await self.get("/b")).status)  # not held: nobody would end it

    async def test_no_write_overtakes_a_journal_that_nobody_reads(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        await self.engine.pending(SERVICE, "url:/w", True)
        await self.intake.stop()
        late = asyncio.create_task(self.get("/w", method="POST", body=b"2"))
        refused = await self.get("/w", method="POST", body=b"3")
        self.assertEqual(503, refused.status)
        self.assertIn("retry-after", refused.headers)
        self.assertEqual(503, (await late).status)
        self.assertEqual(0, self.guest.count("/w"))
        waiting = asyncio.create_task(self.get("/w", method="POST", body=b"4"))
        await self.holding(1)
        self.intake = Intake(self.guest)
        await self.intake.listen(self.intake_socket)
        self.assertEqual("intake", (await waiting).headers["x-from"])


class Restart(EngineCase):
    async def test_a_new_agent_takes_over_without_a_blip(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.get("/a")
        await self.engine.pending(SERVICE, "url:/held", True)
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
        self.assertEqual([SERVICE], self.engine.in_handover())
        self.assertEqual(EdgeState.SHIELDED, self.engine.state(SERVICE))
        await self.engine.apply([self.route(self.service)])
        self.assertEqual(before.body, (await self.get("/a")).body)
        await self.flip(EdgeState.REPLAY)
        self.assertEqual(200, (await waiting).status)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await held).status)
        writer.write(b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        self.assertIn("200", (await read_head(reader))[0])  # a client's connection outlived it all
        writer.close()

    async def test_other_options_are_applied_once_nothing_is_handed_over(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.engine.detach()
        self.conf.set_override("retry_after", 77, group="engine")
        self.engine = self.new_engine()
        await self.engine.start()
        await self.engine.apply([self.route(self.service)])
        text = (self.root / "haproxy.cfg").read_text
        self.assertNotIn("Retry-After 77", text())
        await self.flip(EdgeState.PASS)
        await until(lambda: "Retry-After 77" in text() and not self.engine._reloads.locked())
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


class Routes(EngineCase):
    async def test_a_service_on_a_known_address_needs_no_reload(self) -> None:
        first = self.a_service("one", hosts=("one.example",))
        await self.engine.apply([self.route(first)])
        worker = await self.engine._edge._worker()
        await self.flip(EdgeState.PASS)
        await self.engine.set_state("one", EdgeState.ARMED)
        second = self.a_service("two", hosts=("two.example",))
        await self.engine.apply([self.route(first), self.route(second)])
        self.assertEqual(200, (await self.get("/a", headers={"Host": "two.example"})).status)
        await self.engine.apply([self.route(second)])
        self.assertEqual(421, (await self.get("/a", headers={"Host": "one.example"})).status)
        self.assertEqual(worker, await self.engine._edge._worker())
        self.assertIn("two.example two", (self.root / "routes.map").read_text())

    async def test_a_new_address_waits_until_nothing_is_handed_over(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.get("/a")
        where = ("127.0.0.1", free_port())
        new = self.a_service("new", listen=where)
        await self.engine.apply([self.route(self.service), self.route(new)])
        with self.assertRaises(OSError):
            await asyncio.open_connection(*where)
        self.assertIn("hit", (await self.get("/a")).headers["cache-status"])
        await self.flip(EdgeState.PASS)
        await until(lambda: not (self.engine._reload_wanted or self.engine._reloads.locked()))
        self.assertEqual(200, (await fetch(where, "/a")).status)

    async def test_a_reload_loses_no_request(self) -> None:
        stop = asyncio.Event()
        statuses: list[int] = []

        async def load() -> None:
            while not stop.is_set():
                statuses.append((await self.get("/a")).status)

        running = [asyncio.create_task(load()) for _ in range(4)]
        for number in range(3):
            extra = self.a_service(f"n{number}", listen=("127.0.0.1", free_port()))
            await self.engine.apply([self.route(self.service), self.route(extra)])
        stop.set()
        await asyncio.gather(*running)
        self.assertEqual({200}, set(statuses))

    async def test_retarget(self) -> None:
        await self.engine.retarget(SERVICE, Target("127.0.0.1", free_port()))
        moved = asyncio.create_task(self.get("/a"))
        await asyncio.sleep(0.1)
        self.assertFalse(moved.done())
        await self.engine.retarget(SERVICE, self.guest.target)
        self.assertEqual(200, (await self.get("/a")).status)
        moved.cancel()

    async def test_a_service_without_a_guest_yet(self) -> None:
        await self.engine.apply([Route(self.service, None)])
        answer = await self.get("/a")
        self.assertEqual((503, "5"), (answer.status, answer.headers["retry-after"]))

    async def test_bad_routes_change_nothing(self) -> None:
        good = self.route(self.service)
        bad = [
            [good, self.route(self.a_service("x"))],  # the same address twice
            [good, good],
            [good, self.route(self.a_service("x", hosts=("a.example",)))],
            [Route(self.a_service("x"), Target("not an address", 80))],
            [Route(self.a_service("x"), Target("127.0.0.1", 0))],
            [self.route(self.a_service("x", listen=("192.0.2.7", 8080)))],
            [self.route(self.a_service("x", listen=("shop.example", 8080)))],
            [self.route(self.a_service("x", hosts=("a b",)))],
            [self.route(self.a_service("x", client_cookie="a;b"))],
            [self.route(self.a_service(""))],
        ]
        for routes in bad:
            with self.assertRaises(ComponentError):
                await self.engine.apply(routes)
            self.assertEqual(200, (await self.get("/a")).status)

    async def test_upgrades_pass(self) -> None:
        self.guest.statuses["/ws"] = 101
        self.guest.rules["/ws"] = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
        }
        for state in (EdgeState.PASS, EdgeState.ARMED):
            await self.flip(state)
            reader, writer = await asyncio.open_connection(*self.edge)
            writer.write(
                b"GET /ws HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
                b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            )
            first, headers = await asyncio.wait_for(read_head(reader), 5)
            self.assertIn("101", first)
            self.assertEqual("websocket", headers["upgrade"])
            writer.close()

    async def test_an_http2_client_without_tls(self) -> None:
        reader, writer = await asyncio.open_connection(*self.edge)
        writer.write(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\0\0\0\0\0"
        )
        head = await asyncio.wait_for(reader.readexactly(9), 5)
        self.assertEqual(4, head[3])  # its SETTINGS
        writer.close()


class BadInput(EngineCase):
    async def asyncSetUp(self) -> None:
        """No engine: each test starts its own."""
        self.root = Path(tempfile.mkdtemp(prefix="cmeng"))
        self.addCleanup(shutil.rmtree, self.root, ignore_errors=True)
        self.intake_socket = str(self.root / "intake.sock")

    async def failing(self, **options: object) -> str:
        self.conf = config(self.root, **options)
        engine = self.new_engine()
        with self.assertRaises(ComponentError) as caught:
            await engine.start()
        self.assertEqual([None, None], list(engine.pids.values()))
        return str(caught.exception)

    async def test_each_is_one_clear_error(self) -> None:
        self.assertIn("[engine] varnishd", await self.failing(varnishd="/no/varnishd"))
        self.assertIn("[engine] haproxy", await self.failing(haproxy="/no/haproxy"))
        self.assertIn("haproxy ended at once", await self.failing(haproxy_args=["--no-such"]))
        self.assertIn("max_clients", await self.failing(max_clients=900000))
        (self.root / "file").write_text("")
        self.assertIn("runtime_dir", await self.failing(runtime_dir=str(self.root / "file")))

"""Dead engines, a dead agent, and invalid options."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE, EngineCase, config
from tests.functional.engine.servers import Intake, Response, until


class Engines(EngineCase):
    async def eventually(self, url: str, **kwargs: object) -> Response:
        """Return the first response that arrives."""
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                    return await self.get(url, **kwargs)
                await asyncio.sleep(0.01)

    async def another_haproxy_than(self, master: int) -> None:
        await until(lambda: self.engine.pids["haproxy"] != master)

    async def test_haproxy_restarts_with_its_state(self) -> None:
        for victim in ("master", "worker"):
            await self.flip(EdgeState.ARMED)
            before = await self.stored("/a")
            await self.invalidate("shop.example", ["/b"])
            await self.set_pending("url:/held", True)
            await self.flip(EdgeState.SHIELDED)
            master = self.engine.pids["haproxy"]
            assert master is not None
            worker = int(await self.engine._edge.worker_pid())
            os.kill(master if victim == "master" else worker, signal.SIGKILL)
            await self.another_haproxy_than(master)
            await self.eventually("/.well-known/none", method="OPTIONS", headers={"Host": "x|y"})
            await self.server_is("agent/intake", "UP")
            # A client may have written to any page: HAProxy's own record of it is lost.
            again = asyncio.create_task(self.get("/a"))
            held = asyncio.create_task(self.get("/held"))
            await self.holding(2)
            await self.flip(EdgeState.REPLAY)
            self.assertNotEqual(before.body, (await again).body)
            self.assertFalse(held.done())
            await self.set_pending("url:/held", False)
            self.assertEqual(200, (await held).status)
            await self.flip(EdgeState.PASS)
            self.assertEqual(200, (await self.get("/w", method="POST", body=b"x")).status)

    async def test_a_state_set_while_haproxy_restarts_applies_afterwards(self) -> None:
        master = self.engine.pids["haproxy"]
        assert master is not None
        os.kill(int(await self.engine._edge.worker_pid()), signal.SIGKILL)
        await self.flip(EdgeState.SHIELDED)
        await self.another_haproxy_than(master)
        await self.eventually("/w", method="POST", body=b"x")
        self.assertEqual(EdgeState.SHIELDED, self.engine.state(SERVICE))
        await self.server_is("agent/intake", "UP")
        waiting = asyncio.create_task(self.get("/a"))
        await self.holding(1)
        await self.flip(EdgeState.PASS)
        self.assertEqual(200, (await waiting).status)

    async def test_without_varnish_armed_reads_go_to_the_guest(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.stored("/a")
        self.guest.delays["/slow"] = 0.5
        slow = asyncio.create_task(self.get("/slow"))
        await asyncio.sleep(0.1)
        await self.kill_varnish()
        responses = await asyncio.gather(*(self.get("/a") for _ in range(20)))
        self.assertEqual({200}, {response.status for response in responses})
        self.assertEqual(200, (await slow).status)  # sent again
        await self.server_is("cache/varnish", "UP")
        await self.stored("/b")
        self.assertIsNotNone(await self.found("/b"))

    async def test_without_varnish_shielded_reads_are_held(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.stored("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.kill_varnish()
        before = len(self.guest.seen)
        waiting = [asyncio.create_task(self.get("/a")) for _ in range(5)]
        await self.holding(5)
        self.assertEqual(before, len(self.guest.seen))
        await self.flip(EdgeState.REPLAY)
        responses = await asyncio.gather(*waiting)
        self.assertEqual({200}, {response.status for response in responses})

    async def kill_varnish(self) -> None:
        manager = self.engine.pids["varnishd"]
        assert manager is not None
        os.kill(manager, signal.SIGKILL)
        await until(lambda: not self._runs(manager))


class DeadAgent(EngineCase):
    """The intake's socket refuses connections: no agent can journal a write."""

    options = {"hold_timeout": 2}

    async def test_writes_go_to_the_guest_and_end_the_use_of_the_cache(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        waiting = asyncio.create_task(self.get("/other"))
        await self.holding(1)
        await self.intake.stop()
        responses = await asyncio.gather(
            *(self.get(f"/w{n}", method="POST", body=b"x") for n in range(10))
        )
        self.assertEqual({200}, {response.status for response in responses})
        for number in range(10):
            self.assertEqual(1, self.guest.count(f"/w{number}"))
        self.assertEqual(200, (await waiting).status)
        self.assertNotEqual((await self.get("/a")).body, (await self.get("/a")).body)
        # The agent is back and does not trust any stored page.
        self.intake = Intake(self.guest)
        await self.intake.listen(self.intake_socket)
        await self.server_is("agent/intake", "UP")
        await self.flip(EdgeState.REPLAY)
        response = await self.get("/w", method="POST", body=b"x")
        self.assertEqual("intake", response.headers["x-from"])

    async def test_hits_are_served_until_a_client_writes(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.stored("/a")
        await self.flip(EdgeState.SHIELDED)
        await self.intake.stop()
        await self.server_is("agent/intake", "DOWN")
        self.assertEqual(before.body, (await self.get("/a")).body)
        self.assertEqual(200, (await self.get("/b")).status)  # no agent could end a hold

    async def test_no_write_overtakes_the_journal_of_a_dead_agent(self) -> None:
        await self.flip(EdgeState.SHIELDED)
        await self.set_pending("url:/w", True)
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


DETECTED = 6.0
"""Seconds: two checks of 2 s each, and some for a busy machine."""


class HungAgent(EngineCase):
    """The agent's process is stopped: the kernel accepts connections, and it reads none."""

    async def test_writes_in_it_end_and_others_go_on(self) -> None:
        await self.flip(EdgeState.ARMED)
        before = await self.stored("/a")
        await self.flip(EdgeState.SHIELDED)
        self.intake.gate.clear()
        writer = "127.0.0.2"
        inside = asyncio.create_task(self.get("/in", method="POST", body=b"x", source=writer))
        await until(lambda: self.intake.seen)
        self.intake.running.clear()
        began = asyncio.get_running_loop().time()
        queued = [
            asyncio.create_task(self.get(f"/q{n}", method="POST", source=writer)) for n in range(20)
        ]
        waiting = asyncio.create_task(self.get("/other"))
        self.assertEqual(before.body, (await self.get("/a")).body)
        unknown = await inside
        self.assertEqual(502, unknown.status)
        self.assertIn(b"not known whether", unknown.body)
        self.assertLess(asyncio.get_running_loop().time() - began, DETECTED)
        self.assertLessEqual({one.status for one in await asyncio.gather(*queued)}, {200, 502})
        self.assertEqual(200, (await waiting).status)
        response = await self.get("/w", method="POST", body=b"x")
        self.assertEqual(200, response.status)
        self.assertNotIn("x-from", response.headers)
        self.assertLess(response.seconds, 0.5)
        self.assertLess(asyncio.get_running_loop().time() - began, DETECTED)


class BadInput(EngineCase):
    async def asyncSetUp(self) -> None:
        """Start no engine: each test starts one."""
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

    async def test_each_is_one_error_that_names_the_option(self) -> None:
        self.assertIn("[engine] varnishd", await self.failing(varnishd="/no/varnishd"))
        self.assertIn("[engine] haproxy", await self.failing(haproxy="/no/haproxy"))
        self.assertIn("haproxy ended", await self.failing(haproxy_args=["--no-such"]))
        self.assertIn("max_clients", await self.failing(max_clients=900000))
        (self.root / "file").write_text("")
        self.assertIn("runtime_dir", await self.failing(runtime_dir=str(self.root / "file")))

"""The deadline of a handover: no write to which the guest does not respond holds the others."""

from __future__ import annotations

import asyncio
import tempfile
import unittest

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from tests.functional.replay.path import client, conf_for, reached, service
from tests.functional.replay.raw import OK, Connection, RawGuest


class GiveUpTest(unittest.IsolatedAsyncioTestCase):
    async def test_what_is_not_applied_is_quarantined_and_later_writes_are_sent(self) -> None:
        async def respond(request: Connection) -> bool:
            await request.body()
            if b"/stuck" in request.head:
                await asyncio.Event().wait()
            await request.send(OK)
            return True

        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        guest = RawGuest(respond)
        await guest.start()
        self.addAsyncCleanup(guest.stop)
        writes = Writes(conf_for(directory.name))
        await writes.start()
        self.addAsyncCleanup(writes.stop)
        await writes.open(service())
        await writes.send_to("shop", Target("127.0.0.1", guest.port))
        for method, size in (("PUT", 1), ("POST", 1), ("PUT", 100_000)):
            with self.subTest(method=method, size=size):
                seen = len(guest.heads)
                async with client(writes.intake_socket) as http, asyncio.timeout(20):
                    stuck = asyncio.create_task(http.request(method, "/stuck", content=b"x" * size))
                    await guest.arrived(seen + 1)
                    behind = asyncio.create_task(http.post("/behind", content=b"y"))
                    await reached(writes, "waiting", 1)
                    await writes.give_up("shop")
                    for task in (stuck, behind):
                        got = await task
                        status = await http.get(got.headers["location"])
                        self.assertEqual(
                            (502, "in_doubt"), (got.status_code, status.json()["state"])
                        )
                        self.assertIn("did not respond in time", got.json()["detail"])
                    await writes.drained("shop")
                    self.assertEqual(200, (await http.post("/later", content=b"z")).status_code)
                self.assertEqual(seen + 2, len(guest.heads))
        self.assertEqual(6, (await writes.counts("shop")).in_doubt)

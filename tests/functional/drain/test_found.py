"""The agent starts, and its journal has writes, but no handover of their service."""

from __future__ import annotations

import asyncio
import unittest

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Service, WriteMode
from tests.functional.drain.rig import INSTANCE, SERVICE, WholeAgent, until
from tests.functional.drain.test_agent_away import WritesGuest
from tests.functional.replay.path import client, conf_for


class FoundWritesTest(unittest.TestCase):
    def test_they_are_sent_at_the_start(self) -> None:
        guest = WritesGuest()
        self.addCleanup(guest.server_close)
        self.addCleanup(guest.shutdown)
        agent = WholeAgent(self, *guest.server_address[:2])
        asyncio.run(self.leave_writes(str(agent.here / "state")))
        agent.start()
        until(lambda: len(guest.applied) == 3, "the writes are applied")
        self.assertEqual([b"0", b"1", b"2"], guest.applied)
        until(lambda: agent.waiting() == 0, "the responses are recorded")
        until(lambda: "released" in agent.log(), "the service is released")

    async def leave_writes(self, state_dir: str) -> None:
        """A former agent accepts writes and ends."""
        writes = Writes(conf_for(state_dir))
        await writes.start()
        address = ("127.0.0.1", 80)
        await writes.open(Service(SERVICE, INSTANCE, 80, address, writes=WriteMode.ACCEPT))
        async with client(writes.intake_socket, SERVICE) as http:
            for number in range(3):
                response = await http.post("/w", content=b"%d" % number)
                self.assertEqual(202, response.status_code)
        await writes.stop()

"""The operator's decisions about writes in doubt, beside a running agent."""

from __future__ import annotations

import json
import tempfile
import unittest
from unittest import mock

from nova_cachemig.agent import writes as writes_module
from nova_cachemig.agent.journal import database, quarantine
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import WriteState
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, service


class QuarantineTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        quick = mock.patch.object(writes_module, "_DECISION_POLL", 0.01)
        quick.start()
        self.addCleanup(quick.stop)
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        self.writes = Writes(conf_for(directory.name))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.writes.open(service())
        await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
        self.engine = database.create_engine(database.url_for(None, self.writes.journal.state_dir))
        self.addCleanup(self.engine.dispose)
        async with client(self.writes.intake_socket) as http:
            self.guest.drop_after_apply = 2
            for body in (b"1", b"2" * 100_000):
                self.unknown = await http.post("/a", content=body)
            await http.post("/b", content=b"later")

    def names(self) -> list[str]:
        return [f"{one.service}/{one.position}" for one in quarantine.find_all(self.engine)]

    async def test_list_show_export(self) -> None:
        self.assertEqual(["shop/1", "shop/2"], self.names())
        self.assertEqual([], list(quarantine.find_all(self.engine, service="other")))
        shown = quarantine.facts(quarantine.show(self.engine, "shop/1"))
        self.assertEqual(("POST", "/a", "MQ=="), (shown["method"], shown["url"], shown["body"]))
        self.assertIn("must not be sent twice", shown["note"])
        json.dumps(shown)
        for name in ("shop/99", "shop", "/", "shop/x"):
            with self.subTest(name), self.assertRaises(JournalError):
                quarantine.show(self.engine, name)

    async def test_resend_once(self) -> None:
        for name in ("shop/2", "shop/1"):
            quarantine.resend(self.engine, name, "the customer says it is missing", "root@cache1")
            with self.assertRaises(JournalError):
                quarantine.resend(self.engine, name, "", "root@cache1")
        await self.guest.took(5)
        await self.writes.drained("shop")
        self.assertEqual({b"1", b"2" * 100_000}, set(self.guest.bodies()[3:]))
        self.assertEqual([], self.names())
        self.assertEqual(0, (await self.writes.counts("shop")).in_doubt)
        old = quarantine.show(self.engine, "shop/1")
        self.assertEqual(WriteState.DISCARDED, old.state)
        for words in ("the customer says it is missing", "sent again as shop/"):
            self.assertIn(words, old.note or "")
        self.assertRegex(quarantine.facts(old)["sent_again_as"], "^shop/[0-9]+$")

    async def test_the_status_url_of_a_write_that_is_sent_again_tells_its_outcome(self) -> None:
        self.assertEqual(502, self.unknown.status_code)
        url = self.unknown.headers["location"]
        quarantine.resend(self.engine, "shop/2", "the customer says it is missing", "root@cache1")
        await self.guest.took(4)
        await self.writes.drained("shop")
        async with client(self.writes.intake_socket) as http:
            status = await http.get(url)
        self.assertEqual("responded", status.headers.get("cachemig-write"), status.text)

    async def test_discard(self) -> None:
        quarantine.discard(self.engine, "shop/1", "seen in the shop's own log", "root@cache1")
        self.assertEqual(["shop/2"], self.names())
        self.assertIn("seen in", quarantine.show(self.engine, "shop/1").note or "")
        with self.assertRaises(JournalError):
            quarantine.resend(self.engine, "shop/1", "", "root@cache1")

"""An encrypted journal: nothing readable on disk, rotated keys, wrong keys."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import secrets
import tempfile
import unittest
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import sqlalchemy as sa

from nova_cachemig.agent import writes as writes_module
from nova_cachemig.agent.journal import database, quarantine
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.offline import spool_of
from nova_cachemig.agent.journal.schema import CIPHER_KEYS, WRITES
from nova_cachemig.agent.writes import Writes
from nova_cachemig.cmd.manage import app
from nova_cachemig.model.service import Target, WriteMode
from nova_cachemig.model.write import WriteState
from tests.functional.replay.guest import LoggingGuest
from tests.functional.replay.path import client, conf_for, reached, service

LARGE = 700_000  # bytes: over the spool threshold, and several frames


class EncryptionTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.base = Path(directory.name)
        self.state = self.base / "state"
        self.key_file = self.base / "journal.keys"
        self.made = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in "abc"}
        self.keys("a")
        self.guest = LoggingGuest()
        await self.guest.start()
        self.addAsyncCleanup(self.guest.stop)
        self.target = Target("127.0.0.1", self.guest.port)

    def keys(self, *names: str) -> None:
        self.key_file.write_text("".join(f"{name} {self.made[name]}\n" for name in names))
        self.key_file.chmod(0o600)

    def conf(self, **journal: Any) -> Any:
        settings = {"encryption": "file", "key_file": str(self.key_file)}
        return conf_for(self.state, **settings | journal)

    @contextlib.asynccontextmanager
    async def agent(self, *, sending: bool = False, **journal: Any) -> AsyncIterator[Writes]:
        writes = Writes(self.conf(**journal))
        await writes.start()
        try:
            await writes.open(service(writes=WriteMode.ACCEPT))
            if sending:
                await writes.send_to("shop", self.target)
            yield writes
        finally:
            await writes.stop()

    async def put(self, writes: Writes, *bodies: bytes) -> list[httpx.Response]:
        async with client(writes.intake_socket) as http:
            return [await http.put("/a", content=body) for body in bodies]

    def database(self) -> sa.Engine:
        engine = database.create_engine(database.url_for(None, self.state))
        self.addCleanup(engine.dispose)
        return engine

    def on_disk(self) -> dict[str, bytes]:
        paths = [path for path in self.state.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.state)): path.read_bytes() for path in paths}

    def holding(self, *needles: bytes) -> list[tuple[str, bytes]]:
        forms = [
            form for one in needles for form in (one, base64.b64encode(one), one.hex().encode())
        ]
        return [(name, one) for name, raw in self.on_disk().items() for one in forms if one in raw]

    # --- nothing readable

    async def play(self, **journal: Any) -> dict[str, list[tuple[str, bytes]]]:
        """Look at the disk while writes wait, get a response and are in doubt."""
        self.guest.extra = "set-cookie: response-secret-header\r\n"
        needles = (b"body-secret", b"url-secret", b"header-secret", b"cookie-secret", b"key-secret",
                   b"large-secret", b"response-secret", b"applied 1")  # fmt: skip
        found = {}
        async with self.agent(**journal) as writes:
            who = "cookie-secret"
            async with client(writes.intake_socket, who=who) as http:
                key = {"authorization": "Bearer header-secret", "idempotency-key": '"key-secret"'}
                small = await http.post("/p?token=url-secret", content=b"body-secret", headers=key)
                large = await http.put("/large", content=b"large-secret" * (LARGE // 12))
                self.assertEqual((202, 202), (small.status_code, large.status_code))
                found["waiting"] = self.holding(*needles)
                self.guest.gate.clear()
                await writes.send_to("shop", self.target)
                await self.guest.arrived.wait()
                self.guest.gate.set()
                await self.guest.took(2)
                # the progress log has the responses whether or not the database has
                found["responding"] = self.holding(*needles)
                await writes.drained("shop")
                self.guest.drop_after_apply = 1
                await http.post("/doubt", content=b"body-secret", headers=key | {
                    "idempotency-key": '"key-secret-2"'})  # fmt: skip
                await reached(writes, "in_doubt", 1)
                status = await http.get(small.headers["location"])
                self.assertEqual((200, "applied 1\n"), (status.status_code, status.text))
                self.assertEqual("response-secret-header", status.headers["set-cookie"])
                found["responded"] = self.holding(*needles)
        found["stopped"] = self.holding(*needles)
        first, second, _ = self.guest.log
        self.assertEqual((b"body-secret", LARGE // 12 * 12), (first.body, len(second.body)))
        self.assertEqual("/p?token=url-secret", first.url)
        self.assertEqual('"key-secret"', first.headers["idempotency-key"])
        return found

    async def test_nothing_of_a_client_or_guest_can_be_read_on_disk(self) -> None:
        for stage, found in (await self.play()).items():
            self.assertEqual([], found, stage)
        self.assertIn("progress.log", self.on_disk())

    async def test_the_search_finds_what_is_in_the_clear(self) -> None:
        found = await self.play(encryption="none", key_file=None)
        for stage in ("waiting", "responding", "responded", "stopped"):
            self.assertTrue(found[stage], stage)
        self.assertEqual(
            {b"body-secret", b"url-secret", b"header-secret", b"cookie-secret", b"key-secret",
             b"large-secret"},
            {needle for _, needle in found["waiting"]},
        )  # fmt: skip
        self.assertIn(("progress.log", b"response-secret"), found["responding"])

    # --- rotation

    async def test_rotation(self) -> None:
        bodies = [b"clear", b"c" * LARGE, b"first", b"1" * LARGE, b"second", b"2" * LARGE]
        async with self.agent(encryption="none", key_file=None) as writes:
            await self.put(writes, *bodies[:2])
        async with self.agent() as writes:
            await self.put(writes, *bodies[2:4])
        self.keys("a", "b")
        async with self.agent() as writes:
            responses = await self.put(writes, *bodies[4:])
            with self.database().connect() as connection:
                used = connection.execute(sa.select(WRITES.c.key_id)).scalars().all()
            self.assertEqual([None, None, "a", "a", "b", "b"], used)
            await writes.send_to("shop", self.target)
            await writes.drained("shop")
        self.assertEqual(bodies, self.guest.bodies())
        # only responses are left, and they are encrypted with key b: key a may go
        self.keys("b")
        async with self.agent() as writes, client(writes.intake_socket) as http:
            status = await http.get(responses[0].headers["location"])
            self.assertEqual("applied 5\n", status.text)
        with self.database().connect() as connection:
            self.assertEqual(
                ["b"], connection.execute(sa.select(CIPHER_KEYS.c.key_id)).scalars().all()
            )

    async def test_back_to_the_clear(self) -> None:
        async with self.agent() as writes:
            await self.put(writes, b"encrypted")
        async with self.agent(encryption="none") as writes:
            await self.put(writes, b"in the clear")
            self.assertTrue(self.holding(b"in the clear"))
            await writes.send_to("shop", self.target)
            await writes.drained("shop")
        self.assertEqual([b"encrypted", b"in the clear"], self.guest.bodies())

    # --- wrong keys

    async def refused(self, words: str, **journal: Any) -> None:
        before = self.records()
        with self.assertRaisesRegex(JournalError, words):
            async with self.agent(**journal):
                self.fail("it started")
        self.assertEqual(before, self.records())

    def records(self) -> tuple[list[Any], set[str]]:
        with self.database().connect() as connection:
            rows = connection.execute(sa.select(WRITES).order_by(WRITES.c.position)).all()
        return [tuple(row) for row in rows], {
            path.name for path in (self.state / "spool").iterdir()
        }

    async def test_a_missing_or_wrong_key_refuses_and_loses_nothing(self) -> None:
        async with self.agent() as writes:
            await self.put(writes, b"small", b"l" * LARGE)
        self.keys("b")
        await self.refused("key 'a' is missing: 2 writes, 0 responses and 1 spool files")
        await self.refused("key 'a' is missing", encryption="none", key_file=None)
        right = self.made["a"]
        self.made["a"] = self.made["c"]
        self.keys("a")
        await self.refused("is not the key 'a' that encrypted")
        self.key_file.unlink()
        await self.refused("cannot read .*: No such file")
        self.made["a"] = right
        self.keys("a")
        async with self.agent(sending=True) as writes:
            self.assertEqual(((), 2), (writes.recovered.damaged, writes.recovered.waiting))
            await writes.drained("shop")
        self.assertEqual([b"small", b"l" * LARGE], self.guest.bodies())

    async def test_responses_need_their_key_too(self) -> None:
        async with self.agent(sending=True) as writes:
            (response,) = await self.put(writes, b"small")
            await writes.drained("shop")
        self.keys("b")
        await self.refused("key 'a' is missing: 0 writes, 1 responses")
        async with self.agent(lost_keys=["a"]) as writes, client(writes.intake_socket) as http:
            status = await http.get(response.headers["location"])
            self.assertEqual((200, "responded"), (status.status_code, status.json()["state"]))

    async def test_a_key_that_is_lost_quarantines_its_writes(self) -> None:
        async with self.agent() as writes:
            await self.put(writes, b"small", b"l" * LARGE)
        files = self.records()[1]
        self.keys("b")
        async with self.agent(sending=True, lost_keys=["a"]) as writes:
            self.assertEqual(("shop/1", "shop/2"), writes.recovered.damaged)
            await self.put(writes, b"later")
            await writes.drained("shop")
        self.assertEqual([b"later"], self.guest.bodies())
        rows, left = self.records()
        self.assertEqual(files, left)
        states = [row[2] for row in rows]
        self.assertEqual(["damaged", "damaged", "responded"], states)
        for stored in quarantine.find_all(self.database()):
            self.assertIn("key 'a', which is not available", stored.note or "")

    # --- damage

    def damage(self) -> None:
        """Flip a bit of shop/3's record and of shop/4's file."""
        with self.database().begin() as connection:
            rows = connection.execute(sa.select(WRITES).where(WRITES.c.position.in_([3, 4]))).all()
            body = bytearray(rows[0].body)
            body[-1] ^= 1
            change = sa.update(WRITES).where(WRITES.c.position == 3).values(body=bytes(body))
            connection.execute(change)
        path = self.state / "spool" / rows[1].spool
        raw = bytearray(path.read_bytes())
        raw[LARGE // 2] ^= 1
        path.write_bytes(raw)

    def quarantine(self) -> list[tuple[str, WriteState]]:
        found = quarantine.find_all(self.database(), cipher=spool_of(self.conf()).cipher)
        return [(f"{stored.service}/{stored.position}", stored.state) for stored in found]

    async def test_damage_is_found_at_the_start(self) -> None:
        bodies = [b"1", b"1" * LARGE, b"2", b"2" * LARGE, b"3", b"3" * LARGE]
        async with self.agent() as writes:
            await self.put(writes, *bodies)
        self.damage()
        async with self.agent(sending=True) as writes:
            self.assertEqual(("shop/3", "shop/4"), writes.recovered.damaged)
            await writes.drained("shop")
        self.assertEqual(bodies[:2] + bodies[4:], self.guest.bodies())
        damaged = WriteState.DAMAGED
        self.assertEqual([("shop/3", damaged), ("shop/4", damaged)], self.quarantine())

    async def test_a_damaged_file_is_found_before_it_is_sent(self) -> None:
        bodies = [b"1", b"1" * LARGE, b"2", b"2" * LARGE, b"3", b"3" * LARGE]
        async with self.agent() as writes:
            await self.put(writes, *bodies)
            self.damage()  # small ones are in memory still
            await writes.send_to("shop", self.target)
            await writes.drained("shop")
            self.assertEqual(0, writes._intakes["shop"].replay.waiting_bytes)
        self.assertEqual(bodies[:3] + bodies[4:], self.guest.bodies())
        self.assertEqual([("shop/4", WriteState.DAMAGED)], self.quarantine())

    # --- people

    async def in_doubt(self) -> None:
        with mock.patch.object(writes_module, "_DECISION_POLL", 0.01):
            async with self.agent(sending=True) as writes, client(writes.intake_socket) as http:
                self.guest.drop_after_apply = 2
                for body in (b"small", b"l" * LARGE):
                    await http.post("/doubt", content=body)
                await reached(writes, "in_doubt", 2)

    def manage(self, *args: str, code: int = 0) -> tuple[str, str]:
        path = self.base / "agent.conf"
        key = f"key_file = {self.key_file}"
        path.write_text(f"[agent]\nstate_dir = {self.state}\n[journal]\nencryption = file\n{key}\n")
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            program = app.ManageApp()
            program.stdout, program.stderr = out, err  # type: ignore[assignment]
            try:
                found = program.run(["--config-file", str(path), "--offline", "journal", *args])
            except SystemExit as exc:
                err.write(str(exc.code))
                found = 1
            self.assertEqual(code, found)
        return out.getvalue(), err.getvalue()

    async def test_show_and_export_decrypt(self) -> None:
        await self.in_doubt()
        listed = json.loads((self.manage("list", "-f", "json"))[0])
        self.assertEqual(["/doubt", "/doubt"], [one["url"] for one in listed])
        shown = json.loads((self.manage("show", "shop/1", "-f", "json"))[0])
        self.assertEqual(base64.b64encode(b"small").decode(), shown["body"])
        file = self.base / "body"
        self.manage("show", "shop/2", "--body", str(file))
        self.assertEqual(b"l" * LARGE, file.read_bytes())
        self.assertEqual(0o600, file.stat().st_mode & 0o777)
        text, _ = self.manage("export", "--bodies", str(self.base))
        small, large = (json.loads(line) for line in text.splitlines())
        self.assertEqual(("/doubt", shown["body"]), (small["url"], small["body"]))
        self.assertEqual(str(self.base / "shop-2"), large["body_file"])
        self.assertEqual(b"l" * LARGE, (self.base / "shop-2").read_bytes())

    async def test_without_the_key_they_say_why_not(self) -> None:
        await self.in_doubt()
        self.key_file.unlink()
        for command in (("list", "-f", "json"), ("export",), ("show", "shop/1", "-f", "json")):
            with self.subTest(command[0]):
                text, errors = self.manage(*command)
                self.assertIn("shop/1", text)
                self.assertIn(f"cannot read [journal] key_file {self.key_file}", errors)
                if command[0] != "list":
                    self.assertIn("key 'a', which is not available", text)
        _, errors = self.manage("show", "shop/1", "--body", str(self.base / "body"), code=1)
        self.assertRegex(errors, "cannot read the body of shop/1.*not available")
        self.assertFalse((self.base / "body").exists())

    async def test_resend_across_a_rotation(self) -> None:
        await self.in_doubt()
        self.keys("a", "b")
        for name in ("shop/1", "shop/2"):
            quarantine.resend(self.database(), name, "", "root@cache1")
        with mock.patch.object(writes_module, "_DECISION_POLL", 0.01):
            async with self.agent() as writes:
                await reached(writes, "waiting", 2)
            # the large one's record has the new key, its file the old one
            self.keys("b")
            await self.refused("key 'a' is missing: 0 writes, 0 responses and 1 spool files")
            self.keys("a", "b")
            async with self.agent(sending=True) as writes:
                await writes.drained("shop")
        self.assertEqual([b"small", b"l" * LARGE] * 2, self.guest.bodies())

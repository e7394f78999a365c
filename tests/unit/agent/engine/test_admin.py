"""The admin socket, against a peer with HAProxy's protocol."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine.admin import MAX_BATCH, Admin, AdminError, command


class Words(unittest.TestCase):
    def test_a_string_of_more_than_one_word_is_refused(self) -> None:
        for word in ("", "a b", "a\nb", "a;b", "a\\", "<<", "a\tb", "é", 'a"', "<a", "a>"):
            with self.assertRaises(AdminError):
                command("set", word)

    @settings(deadline=None)
    @given(st.text(max_size=20))
    def test_a_command_is_one_line_of_words(self, word: str) -> None:
        try:
            text = command("a", word)
        except AdminError:
            return
        self.assertEqual(["a", word], text.split(" "))
        self.assertEqual(1, len(text.splitlines()))
        self.assertNotIn(";", text)


class FakeHaproxy:
    """Responds to ``echo TEXT`` with the text, to other lines with nothing, and with a prompt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.drop_at = 0  # cuts the connection at this line, counted from now
        self.silent = False
        self.server: asyncio.Server | None = None
        self.connections = 0

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while line := (await reader.readline()).decode().rstrip("\n"):
                if line == "prompt":
                    writer.write(b"\n> ")
                    continue
                self.lines.append(line)
                if self.drop_at:
                    self.drop_at -= 1
                    if not self.drop_at:
                        break
                if not self.silent:
                    output = line.partition(" ")[2] if line.startswith("echo") else ""
                    writer.write(f"{output}\n\n> ".encode())
        finally:
            writer.close()


class Connection(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.peer = FakeHaproxy(Path(folder.name) / "a.sock")
        await self.peer.start()
        assert self.peer.server is not None
        self.addCleanup(self.peer.server.close)
        self.admin = Admin(self.peer.path, timeout=20)  # long, for a busy machine
        self.addAsyncCleanup(self.admin.close)

    async def test_each_command_gets_its_own_output(self) -> None:
        self.assertEqual("1", await self.admin.run("echo 1"))
        self.assertEqual("2\n3", await self.admin.run("echo 2", "echo 3"))
        outputs = await asyncio.gather(*(self.admin.run(f"echo {n}") for n in range(50)))
        self.assertEqual([str(n) for n in range(50)], outputs)
        self.assertEqual(1, self.peer.connections)

    async def test_after_a_lost_connection_the_command_is_repeated(self) -> None:
        await self.admin.run("echo 1")
        self.peer.drop_at = 1
        self.assertEqual("2", await self.admin.run("echo 2"))
        self.assertEqual(["echo 1", "echo 2", "echo 2"], self.peer.lines)

    async def test_a_timeout_does_not_shift_the_next_output(self) -> None:
        self.peer.silent = True
        self.admin._timeout = 0.3
        with self.assertRaisesRegex(AdminError, "does not respond"):
            await self.admin.run("echo 1")
        self.peer.silent = False
        self.admin._timeout = 20
        self.assertEqual("2", await self.admin.run("echo 2"))

    async def test_a_cancelled_command_does_not_shift_the_next(self) -> None:
        self.peer.silent = True
        task = asyncio.create_task(self.admin.run("echo 1"))
        while not self.peer.lines:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.peer.silent = False
        self.assertEqual("2", await self.admin.run("echo 2"))

    async def test_no_haproxy(self) -> None:
        with self.assertRaisesRegex(AdminError, "does not respond"):
            await Admin(self.peer.path.with_name("none"), timeout=0.05).run("x")

    async def test_a_refused_command_is_an_error(self) -> None:
        await self.admin.apply(["ok", "ok"])
        with self.assertRaisesRegex(AdminError, "entry not found"):
            await self.admin.apply(["ok", "echo entry not found"])

    async def test_many_commands_are_split(self) -> None:
        await self.admin.apply([f"set {n:0500}" for n in range(100)])
        self.assertEqual(100, len(self.peer.lines))

    async def test_malformed_commands_are_refused(self) -> None:
        for text in ("a\nb", "a;b", "x" * (MAX_BATCH + 1)):
            with self.assertRaises(AdminError):
                await self.admin.run(text)
        self.assertEqual([], self.peer.lines)

"""The admin socket, against a peer that speaks as HAProxy does."""

from __future__ import annotations

import asyncio
import tempfile
import unittest
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine.admin import LONGEST_LINE, Admin, AdminError, command


class Words(unittest.TestCase):
    def test_what_could_be_more_than_a_word_is_refused(self) -> None:
        for word in ("", "a b", "a\nb", "a;b", "a\\", "<<", "a\tb", "é", 'a"', "a'", "$x"):
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
    """Answers each line with its own text and a prompt."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: list[str] = []
        self.drop_at = 0  # so many lines from now the connection is cut, unanswered
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
                    said = line.partition(" ")[2] if line.startswith("say") else ""
                    writer.write(f"{said}\n\n> ".encode())
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
        self.admin = Admin(self.peer.path, timeout=20)  # a busy machine may stall
        self.addAsyncCleanup(self.admin.close)

    async def test_each_command_gets_its_own_answer(self) -> None:
        self.assertEqual("1", await self.admin.run("say 1"))
        self.assertEqual("2\n3", await self.admin.run("say 2", "say 3"))
        answers = await asyncio.gather(*(self.admin.run(f"say {n}") for n in range(50)))
        self.assertEqual([str(n) for n in range(50)], answers)
        self.assertEqual(1, self.peer.connections)

    async def test_a_lost_connection_is_made_anew_and_the_command_repeated(self) -> None:
        await self.admin.run("say 1")
        self.peer.drop_at = 1
        self.assertEqual("2", await self.admin.run("say 2"))
        self.assertEqual(["say 1", "say 2", "say 2"], self.peer.lines)

    async def test_silence_is_an_error_and_the_next_answer_is_not_shifted(self) -> None:
        self.peer.silent = True
        self.admin._timeout = 0.3
        with self.assertRaisesRegex(AdminError, "does not answer"):
            await self.admin.run("say 1")
        self.peer.silent = False
        self.admin._timeout = 20
        self.assertEqual("2", await self.admin.run("say 2"))

    async def test_a_cancelled_command_does_not_shift_the_next(self) -> None:
        self.peer.silent = True
        task = asyncio.create_task(self.admin.run("say 1"))
        while not self.peer.lines:  # noqa: ASYNC110
            await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await task
        self.peer.silent = False
        self.assertEqual("2", await self.admin.run("say 2"))

    async def test_nobody_there(self) -> None:
        with self.assertRaisesRegex(AdminError, "does not answer"):
            await Admin(self.peer.path.with_name("none"), timeout=0.05).run("x")

    async def test_what_haproxy_refuses_is_an_error(self) -> None:
        await self.admin.run_all(["ok", "ok"])
        with self.assertRaisesRegex(AdminError, "entry not found"):
            await self.admin.run_all(["ok", "say entry not found"])

    async def test_many_commands_are_split(self) -> None:
        await self.admin.run_all([f"set {n:0500}" for n in range(100)])
        self.assertEqual(100, len(self.peer.lines))

    async def test_broken_lines_are_refused(self) -> None:
        for text in ("a\nb", "a;b", "x" * (LONGEST_LINE + 1)):
            with self.assertRaises(AdminError):
                await self.admin.run(text)
        self.assertEqual([], self.peer.lines)

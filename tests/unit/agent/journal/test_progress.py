"""The progress log after a kill, after a power failure, and with a torn tail."""

from __future__ import annotations

import tempfile
import unittest
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal import progress
from nova_cachemig.agent.journal.progress import ProgressLog
from nova_cachemig.model.write import Body, GuestResponse

RESPONSE = GuestResponse(201, (("x-a", "ü"), ("x-a", "2")), Body.of(b"made\n\0"))


class ProgressLogTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "progress.log"
        room = mock.patch.object(progress, "_SIZE", 1 << 17)  # quicker to allocate
        room.start()
        self.addCleanup(room.stop)

    def fresh(self) -> ProgressLog:
        log = ProgressLog(self.path)
        log.open()
        log.reset()
        self.addCleanup(log.close)
        return log

    def test_nothing_is_known_without_a_file(self) -> None:
        self.assertFalse(ProgressLog(self.path).open().complete)

    def test_what_was_logged_is_there_after_a_kill(self) -> None:
        log = self.fresh()
        log.log_sent("shop", 1)
        log.log_response("shop", 1, RESPONSE)
        log.log_sent("shop", 2)
        found = ProgressLog(self.path).open()  # the first one was never closed
        self.assertTrue(found.complete)
        self.assertEqual({("shop", 1), ("shop", 2)}, found.sent)
        self.assertEqual({("shop", 1): RESPONSE}, found.responses)

    def test_a_write_in_doubt_is_known_until_another_is_sent(self) -> None:
        log = self.fresh()
        log.reset(1, [("shop", 2)], [("shop", 1), ("blog", 1)])
        self.assertEqual(
            {("shop", 1), ("shop", 2), ("blog", 1)}, ProgressLog(self.path).open().sent
        )
        log.log_sent("shop", 2)
        for place in range(2000):  # more than the file takes
            log.log_response("shop", place + 9, RESPONSE)
            log.forget("shop", place + 9)
        sent = ProgressLog(self.path).open().sent
        self.assertNotIn(("shop", 1), sent)
        self.assertIn(("blog", 1), sent)

    def test_lines_of_another_boot_are_true_and_not_whole(self) -> None:
        self.fresh().log_sent("shop", 1)
        other = Path(self.path.parent / "boot_id")
        other.write_text("another\n")
        with mock.patch.object(progress, "_BOOT_ID", other):
            found = ProgressLog(self.path).open()
        self.assertFalse(found.complete)
        self.assertEqual({("shop", 1)}, found.sent)

    def test_a_log_of_another_generation_is_not_whole(self) -> None:
        """Another agent has sent writes since, or the newest log was lost with the power."""
        log = ProgressLog(self.path)
        self.addCleanup(log.close)
        log.open()
        log.reset(7)
        log.log_sent("shop", 1)
        self.assertEqual(7, log.generation())
        found = [ProgressLog(self.path).open(generation=n) for n in (6, 7, 8)]
        self.assertEqual([False, True, False], [one.complete for one in found])
        self.assertEqual({("shop", 1)}, found[2].sent)

    def test_a_file_system_that_was_mounted_again_has_no_whole_log(self) -> None:
        self.fresh()
        with mock.patch.object(progress.incarnation, "of", return_value="another mount"):
            self.assertFalse(ProgressLog(self.path).open().complete)

    def test_a_log_that_was_synced_at_the_stop_is_whole_everywhere(self) -> None:
        log = self.fresh()
        log.log_sent("shop", 1)
        log.close(sync=True)
        with mock.patch.object(progress.incarnation, "of", return_value="another mount"):
            found = ProgressLog(self.path).open()
            self.assertEqual((True, {("shop", 1)}), (found.complete, found.sent))
            self.assertFalse(ProgressLog(self.path).open(generation=1).complete)
        log.reset()
        with mock.patch.object(progress.incarnation, "of", return_value="another mount"):
            self.assertFalse(ProgressLog(self.path).open().complete)

    def test_the_log_of_the_former_version(self) -> None:
        boot = progress._BOOT_ID.read_bytes().strip()
        entry = progress._entry(progress._SENT, "shop", 1)
        for head, complete in ((boot, True), (b"another", False)):
            self.path.write_bytes(b"cachemig-progress-1 " + head + b"\n" + entry)
            log = ProgressLog(self.path)
            found = log.open()
            self.assertEqual((complete, {("shop", 1)}), (found.complete, found.sent))
            self.assertEqual(0, log.generation())

    def test_reset_forgets_the_lines(self) -> None:
        log = self.fresh()
        log.log_sent("shop", 1)
        log.reset()
        self.assertEqual(frozenset(), ProgressLog(self.path).open().sent)

    def test_lines_that_are_not_recorded_survive_a_rewrite(self) -> None:
        log = self.fresh()
        log.log_sent("shop", 1)
        with mock.patch.object(progress, "_SIZE", 4096):
            log.reset()
            log.log_sent("shop", 1)
            for position in range(2, 500):
                log.log_sent("shop", position)
                log.forget("shop", position)
        self.assertIn(("shop", 1), ProgressLog(self.path).open().sent)

    def test_a_full_log_refuses(self) -> None:
        with mock.patch.object(progress, "_SIZE", 4096):
            log = self.fresh()
            with self.assertRaises(OSError):
                for position in range(500):
                    log.log_sent("shop", position)
            log.forget("shop", 0)
            log.log_sent("shop", 501)

    def test_a_body_too_long_for_the_log(self) -> None:
        log = self.fresh()
        log.log_response("shop", 1, GuestResponse(200, (), Body.of(b"x" * 100_000)))
        response = ProgressLog(self.path).open().responses["shop", 1]
        self.assertEqual((200, 0), (response.status, response.body.length))
        self.assertIn("lost", response.header("cachemig-write") or "")

    @settings(deadline=None)
    @given(st.integers(0, 6), st.data())
    def test_a_torn_tail_is_cut(self, count: int, data: st.DataObject) -> None:
        log = self.fresh()
        starts = []
        for position in range(count + 1):
            starts.append(log._size)
            log.log_response("shop", position, RESPONSE)
        end = log._size
        log.close()
        cut = data.draw(st.integers(starts[-1], end - 1))
        raw = bytearray(self.path.read_bytes())
        raw[cut:end] = b"\0" * (end - cut) if data.draw(st.booleans()) else b"\xaa" * (end - cut)
        self.path.write_bytes(raw)
        found = ProgressLog(self.path).open()
        self.assertLessEqual({("shop", n) for n in range(count)}, found.sent)
        self.assertLessEqual(len(found.responses), count + 1)

    @settings(deadline=None)
    @given(st.binary(max_size=400))
    def test_garbage_is_no_error(self, raw: bytes) -> None:
        self.path.write_bytes(raw)
        self.assertFalse(ProgressLog(self.path).open().complete)

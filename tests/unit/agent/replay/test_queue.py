"""The queue's counters and waiting clients, whatever happens to its writes."""

from __future__ import annotations

import asyncio
import dataclasses
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.journal.errors import NotAccepted
from nova_cachemig.agent.journal.queries import QueueState, UnreadableWrite
from nova_cachemig.agent.replay import queue as queue_module
from nova_cachemig.agent.replay.queue import QuarantinedError, WriteQueue
from nova_cachemig.model.service import Service
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

SERVICE = Service("shop", "uuid", 80, ("192.0.2.1", 80))
RESPONSE = GuestResponse(200)


class CallbackJournal:
    """Keeps the callbacks of its steps; a test completes them."""

    def __init__(self) -> None:
        self.appends: list[tuple[AcceptedWrite, int | None, Callable[[Any], None]]] = []
        self.recorded: list[tuple[int, bool, bool, Callable[[Any], None]]] = []
        self.moved: list[tuple[int, int]] = []
        self.error: BaseException | None = None

    def append(self, write: AcceptedWrite, send_limit: int | None, _key: Any, done: Any) -> None:
        self.appends.append((write, send_limit, done))

    def record_response(self, write: AcceptedWrite, _response: Any, *, keep: bool, can_wait: bool,
                        done: Any) -> None:  # fmt: skip
        self.recorded.append((write.position, keep, can_wait, done))

    def move(self, old: int, write: AcceptedWrite, done: Any) -> None:
        self.moved.append((old, write.position))
        done(self.error)

    async def waiting(self, _service: str, _after: int, _limit: int) -> list[Any]:
        return []

    def write_from_row(self, row: Any) -> Any:
        return row


class QueueCase(unittest.IsolatedAsyncioTestCase):
    def make(self, send_limit: int = 0, window: int = 4) -> WriteQueue:
        self.journal = CallbackJournal()
        state = QueueState(b"", send_limit, 1, 0, 0, 0)
        self.queue = WriteQueue(self.journal, SERVICE, state, window)  # type: ignore[arg-type]
        return self.queue

    def append(self, size: int = 3, **facts: Any) -> tuple[AcceptedWrite, Any, Any]:
        position = self.queue.take_position()
        body = Body.of(b"x" * size)
        write = AcceptedWrite("shop", position, 1.0, "POST", "/", "h", (), body, "c", **facts)
        return write, *self.queue.append(write, None)

    def accept(self, size: int = 3, **facts: Any) -> tuple[AcceptedWrite, Any]:
        write, _accepted, response = self.append(size, **facts)
        self.journal.appends[-1][2](None)
        return write, response

    def finish(self, write: AcceptedWrite) -> None:
        self.queue.finish(write, RESPONSE, lambda _write, _response, release: release())


class WriteQueueTest(QueueCase):
    async def test_from_acceptance_to_response(self) -> None:
        queue = self.make()
        write, accepted, response = self.append()
        self.assertEqual((1, 3, False), (queue.waiting, queue.waiting_bytes, accepted.done()))
        self.journal.appends[0][2](None)
        self.assertIsNone(await accepted)
        self.assertEqual(write, await queue.backlog.take())
        queue.mark_sent(write)
        self.assertEqual((0, 1), (queue.waiting, queue.in_flight))
        self.finish(write)
        self.assertEqual((0, 1, False), (queue.in_flight, queue.unrecorded, queue.idle))
        self.assertFalse(response.done())  # the response is not yet on disk
        self.journal.recorded[0][3](None)
        self.assertEqual(RESPONSE, await response)
        self.assertTrue(queue.idle)
        counts = queue.counts()
        self.assertEqual((1, 1, 0), (counts.accepted, counts.responded, counts.waiting))

    async def test_a_refused_write_leaves_no_trace(self) -> None:
        queue = self.make()
        _write, accepted, _response = self.append()
        self.journal.appends[0][2](NotAccepted("full"))
        with self.assertRaises(NotAccepted):
            await accepted
        self.assertEqual((0, 0, True), (queue.waiting, queue.waiting_bytes, queue.idle))
        self.assertFalse(queue.backlog.has_more())

    async def test_the_send_limit_shares_the_acceptance_only_with_an_open_gate(self) -> None:
        queue = self.make(window=2)
        self.append()
        queue.open_gate()
        for _ in range(3):
            self.append()
        self.assertEqual([None, 2, None, None], [step[1] for step in self.journal.appends])
        self.journal.appends[1][2](None)
        self.assertEqual(2, queue.send_limit)

    async def test_limits(self) -> None:
        queue = self.make()
        self.accept(size=10)
        self.assertFalse(queue.is_full(5, max_waiting=2, max_bytes=15))
        self.assertTrue(queue.is_full(6, max_waiting=2, max_bytes=15))
        self.assertTrue(queue.is_full(0, max_waiting=1, max_bytes=15))

    async def test_which_responses_are_kept(self) -> None:
        queue = self.make()
        plain, later, keyed, asked = (
            self.accept(**facts)[0]
            for facts in ({}, {"has_status_url": True}, {"client_key": True}, {})
        )
        self.assertTrue(queue.keep_response(asked.position))
        for write in (plain, later, keyed, asked):
            queue.mark_sent(write)
            self.finish(write)
        self.assertEqual([False, True, True, True], [step[1] for step in self.journal.recorded])
        self.assertFalse(queue.keep_response(plain.position))  # too late

    async def test_a_quarantined_write(self) -> None:
        queue = self.make()
        write, response = self.accept()
        self.assertEqual(write, await queue.backlog.take())
        queue.mark_sent(write)
        queue.finish_quarantined(write, "lost")
        with self.assertRaisesRegex(QuarantinedError, "lost"):
            await response
        self.assertEqual((1, 0, True), (queue.in_doubt, queue.waiting, queue.idle))
        await queue.resend(write)
        self.assertEqual((0, 1), (queue.in_doubt, queue.waiting))
        self.assertEqual([(1, 2)], self.journal.moved)
        self.assertEqual(dataclasses.replace(write, position=2), await queue.backlog.take())

    async def test_a_decision_that_does_not_reach_the_disk_sends_nothing(self) -> None:
        queue = self.make()
        write, response = self.accept()
        await queue.backlog.take()
        queue.mark_sent(write)
        queue.finish_quarantined(write, "lost")
        self.assertIsInstance(response.exception(), QuarantinedError)
        self.journal.error = NotAccepted("rejected")
        with self.assertRaises(NotAccepted):
            await queue.resend(write)
        self.assertEqual((1, 0, 0), (queue.in_doubt, queue.waiting, queue.waiting_bytes))
        self.assertIsNone(await queue.backlog.take())
        self.journal.error = None
        await queue.resend(write)
        self.assertEqual((0, 1), (queue.in_doubt, queue.waiting))

    async def test_a_response_that_does_not_reach_the_disk_is_recorded_again(self) -> None:
        queue = self.make()
        write, response = self.accept()
        await queue.backlog.take()
        queue.mark_sent(write)
        with mock.patch.object(queue_module, "_RECORD_PAUSE", 0.0):
            self.finish(write)
            with self.assertLogs(queue_module.LOG, "ERROR"):
                self.journal.recorded[0][3](NotAccepted("rejected"))
            self.assertEqual((False, 1), (response.done(), queue.unrecorded))
            while len(self.journal.recorded) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0)
        self.assertEqual(self.journal.recorded[0][:3], self.journal.recorded[1][:3])
        self.journal.recorded[1][3](None)
        self.assertEqual((RESPONSE, True), (await response, queue.idle))

    async def test_an_unreadable_write_that_was_never_sent(self) -> None:
        queue = self.make()
        _write, response = self.accept()
        queue.finish_quarantined(UnreadableWrite("shop", 1, "checksum"), "checksum")
        self.assertIsInstance(response.exception(), QuarantinedError)
        self.assertEqual((0, 0, 0), (queue.waiting, queue.waiting_bytes, queue.in_doubt))

    async def test_waiting_for_a_change(self) -> None:
        queue = self.make()
        version = queue.version
        waiting = asyncio.create_task(queue.wait_for_change(version, None))
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        queue.notify()
        await waiting
        await queue.wait_for_change(version, None)  # it has changed already
        await queue.wait_for_change(queue.version, 0.0)

    async def test_reopen_resets_the_counters(self) -> None:
        queue = self.make()
        self.accept()
        other = dataclasses.replace(SERVICE, honours_keys=True)
        queue.reopen(other)
        self.assertEqual((0, other), (queue.counts().accepted, queue.service))
        self.assertEqual(1, queue.waiting)


class CountersTest(QueueCase):
    @settings(deadline=None, max_examples=100)
    @given(st.lists(st.sampled_from(
        ["append", "accept", "refuse", "send", "unsend", "respond", "record", "quarantine"]
    ), max_size=40))  # fmt: skip
    def test_they_follow_every_history(self, steps: list[str]) -> None:
        asyncio.run(self.play(steps))

    async def play(self, steps: list[str]) -> None:
        queue = self.make()
        appended, accepted, sent, recording = [], [], [], []
        in_doubt = 0
        for step in steps:
            if step == "append":
                write, outcome, response = self.append()
                for future in (outcome, response):
                    future.add_done_callback(asyncio.Future.exception)
                appended.append((write, self.journal.appends[-1][2]))
            elif step in {"accept", "refuse"} and appended:
                write, done = appended.pop(0)
                done(None if step == "accept" else NotAccepted("full"))
                if step == "accept":
                    accepted.append(write)
            elif step == "send" and accepted:
                sent.append(accepted.pop(0))
                queue.ordering.start(sent[-1])
                queue.mark_sent(sent[-1])
            elif step == "unsend" and sent:
                accepted.insert(0, sent.pop())
                queue.mark_unsent(accepted[0])
                queue.unblock(accepted[0])
            elif step == "respond" and sent:
                self.finish(sent.pop(0))
                recording.append(self.journal.recorded[-1][3])
            elif step == "record" and recording:
                recording.pop(0)(None)
            elif step == "quarantine" and sent:
                queue.finish_quarantined(sent.pop(0), "lost")
                in_doubt += 1
            waiting = len(appended) + len(accepted)
            self.assertEqual(
                (waiting, waiting * 3, len(sent), len(sent), len(recording), in_doubt),
                (queue.waiting, queue.waiting_bytes, queue.in_flight, len(queue.ordering),
                 queue.unrecorded, queue.in_doubt),
            )  # fmt: skip
            self.assertEqual(not (waiting or sent or recording), queue.idle)

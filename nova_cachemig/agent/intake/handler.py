"""Decides about each request from the edge: refuse, accept and hold, accept and answer 202."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
import time
import urllib.parse
from collections.abc import Callable
from typing import Any, Final

from oslo_config import cfg

from nova_cachemig.agent.intake import keys, status
from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.http import (
    CLIENT,
    OURS,
    SERVICE,
    RequestHead,
    Response,
    problem,
    relay,
    report,
)
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.errors import JournalError, NotAccepted
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.queue import QuarantinedError, WriteQueue
from nova_cachemig.model.headers import end_to_end
from nova_cachemig.model.service import WriteMode
from nova_cachemig.model.write import Body, GuestResponse, Headers, HeldWrite, WriteState

LOG = logging.getLogger(__name__)

_RETRY_AFTER: Final = ("retry-after", "1")
_DROPPED: Final = frozenset({"host", "content-length", "expect", keys.HEADER})


class ServiceIntake:
    """Where one service's writes are taken in."""

    def __init__(self, queue: WriteQueue, barrier: ReadBarrier, secret: bytes) -> None:
        self.queue = queue
        self.barrier = barrier
        self.secret = secret
        # digest of a key → the fingerprint of the request that is being taken in with it
        self.keys: dict[str, str] = {}

    def told(
        self, write: HeldWrite, answer: GuestResponse | None, release: Callable[[], None]
    ) -> None:
        """The guest has answered: stored answers to what it changed must go first."""
        also = () if answer is None else _changed(write, answer)
        self.barrier.answered(write.host, write.url, write.client, also, release)


@dataclasses.dataclass(slots=True)
class HeldClient:
    """A write that is accepted, whose client waits. It keeps no body in memory."""

    intake: ServiceIntake
    position: int
    answer: asyncio.Future[GuestResponse]


class RequestHandler:
    """The intake's rules. ``intakes``: the services of which writes are accepted, by name."""

    def __init__(
        self, journal: Journal, conf: cfg.ConfigOpts, intakes: dict[str, ServiceIntake]
    ) -> None:
        self._journal = journal
        self._conf = conf.journal
        self._intakes = intakes
        self.refused = 0
        self._stopping: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Call in the event loop before anything is served."""
        self._stopping = asyncio.get_running_loop().create_future()

    def stop(self) -> None:
        """Give every client that still waits a status URL: the agent ends, its write does not."""
        if self._stopping is not None and not self._stopping.done():
            self._stopping.set_result(None)

    def refuse(self, head: RequestHead) -> Response | None:
        """Return the refusal of a request whose body is yet to come, None to take it."""
        reply = self._refusal(head)
        if reply is not None:
            self.refused += 1
        return reply

    def _refusal(self, head: RequestHead) -> Response | None:
        length = head.length or 0
        if length > self._conf.max_body:
            return self.too_large()
        intake = self._intakes.get(head.get(SERVICE) or "")
        if intake is None:
            return problem(503, "No writes of this service are taken in here.", _RETRY_AFTER)
        if head.url.startswith(status.PREFIX):
            return None
        if intake.queue.is_full(length, self._conf.max_waiting, self._conf.max_waiting_bytes):
            detail = "Too many writes wait for the server. This one was not accepted."
            return problem(503, detail, _RETRY_AFTER)
        if not self._journal.has_room():
            return problem(503, "No room on disk. This write was not accepted.", _RETRY_AFTER)
        return None

    def too_large(self) -> Response:
        """Return the refusal of a body over the limit."""
        detail = f"More than {self._conf.max_body} bytes. This write was not accepted."
        return problem(413, detail, close=True)

    async def serve(self, head: RequestHead, body: Body) -> Response | HeldClient:
        """Answer a request that :meth:`refuse` let pass; ``HeldClient`` is for :meth:`hold`.

        Removes the body's spool file if the write is not accepted.
        """
        intake = self._intakes.get(head.get(SERVICE) or "")
        if intake is None:
            return await self._unaccepted(body, problem(503, "No longer taken in.", _RETRY_AFTER))
        try:
            if head.url.startswith(status.PREFIX):
                return await self._unaccepted(body, await self._status(intake, head))
            key = head.get(keys.HEADER)
            if key is None:
                return await self._write(intake, head, body, None)
            return await self._keyed(intake, head, body, key)
        except JournalError as exc:
            LOG.error("A request for %s is refused: %s", intake.queue.service.name, exc)
            detail = "The journal cannot be read now. Nothing of this request was taken in."
            return await self._unaccepted(body, problem(503, detail, _RETRY_AFTER))

    # --- keys

    async def _keyed(
        self, intake: ServiceIntake, head: RequestHead, body: Body, key: str
    ) -> Response | HeldClient:
        digest = keys.digest(head, key)
        mark = keys.fingerprint(head, head.get("host") or "", body)
        if (other := intake.keys.get(digest)) is not None:
            return await self._unaccepted(body, _in_flight(same=other == mark))
        intake.keys[digest] = mark  # before any wait: a second request must find it
        try:
            name = intake.queue.service.name
            known = await self._journal.read(lambda c: queries.find_key(c, name, digest))
            if known is not None and known[0] != mark:
                return await self._unaccepted(body, _in_flight(same=False))
            if known is not None and (again := await self._again(intake, known[1])) is not None:
                return await self._unaccepted(body, again)
            return await self._write(intake, head, body, (digest, mark))
        finally:
            del intake.keys[digest]

    async def _again(self, intake: ServiceIntake, position: int) -> Response | None:
        """Return the answer to a request that came before; None where it may be taken anew."""
        found = await self._journal.find(intake.queue.service.name, position)
        if found is None or found.state is WriteState.DISCARDED:
            return None
        if found.response is not None:
            return relay(found.response)
        where = ("location", status.url_of(intake.secret, position))
        if found.state is WriteState.ACCEPTED:
            return problem(409, "The first request with this Idempotency-Key is under way.", where)
        return problem(409, "Whether the first request was applied is being looked into.", where)

    # --- writes

    async def _write(
        self, intake: ServiceIntake, head: RequestHead, body: Body, key: tuple[str, str] | None
    ) -> Response | HeldClient:
        queue = intake.queue
        host, client = head.get("host") or "", head.get(CLIENT) or ""
        headers, later = _for_guest(head)
        applied = later
        later = later or queue.service.writes is WriteMode.ACCEPT
        self._journal.failpoints.hit("received")
        await intake.barrier.accepted(host, head.url, client)
        # No waiting from here to append(): the place in the order is given here.
        write = HeldWrite(
            service=queue.service.name,
            position=queue.take_position(),
            accepted_at=time.time(),
            method=head.method,
            url=head.url,
            host=host,
            headers=headers,
            body=body,
            client=client,
            key=head.get(keys.HEADER) or keys.fresh(),
            client_key=key is not None,
            honours_keys=queue.service.honours_keys,
            framed=head.framed,
            has_status_url=later,
        )
        accepted, answer = queue.append(write, key)
        try:
            await accepted
        except NotAccepted as exc:
            intake.barrier.answered(host, head.url, client, (), lambda: None)
            LOG.error("%s", exc)
            refusal = problem(503, "This write was not accepted.", _RETRY_AFTER)
            return await self._unaccepted(body, refusal)
        self._journal.failpoints.hit("acknowledged")
        if later:
            extra = (("preference-applied", "respond-async"),) if applied else ()
            queue.remove_waiter(write.position)
            return self._later(intake, write.position, extra)
        return HeldClient(intake, write.position, answer)

    async def hold(self, held: HeldClient) -> Response:
        """Wait for the guest's answer, at most [journal] hold_timeout or until stop: then 202."""
        queue, position = held.intake.queue, held.position
        try:
            either: set[asyncio.Future[Any]] = {held.answer}
            if self._stopping is not None:
                either.add(self._stopping)
            await asyncio.wait(
                either,
                timeout=self._conf.hold_timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not held.answer.done() and queue.keep_response(position):
                name = queue.service.name
                await self._journal.run(lambda c: queries.keep_response(c, name, position))
                return self._later(held.intake, position, ())
            return relay(await held.answer)
        except QuarantinedError as exc:
            detail = f"The server may have applied this write, or not: {exc}."
            where = ("location", status.url_of(held.intake.secret, position))
            return problem(502, detail, where)
        finally:
            queue.remove_waiter(position)

    def leave(self, held: HeldClient) -> None:
        """The client is gone; its write is not."""
        held.intake.queue.remove_waiter(held.position)

    def _later(self, intake: ServiceIntake, position: int, extra: Headers) -> Response:
        where = status.url_of(intake.secret, position)
        facts = {"state": WriteState.ACCEPTED.value, "status": where}
        return report(202, facts, ("location", where), _RETRY_AFTER, *extra)

    async def _unaccepted(self, body: Body, reply: Response) -> Response:
        if body.spool is not None:
            await asyncio.to_thread(self._journal.spool.remove, body.spool)
        return reply

    # --- status

    async def _status(self, intake: ServiceIntake, head: RequestHead) -> Response:
        if head.method not in {"GET", "HEAD"}:
            return problem(405, "A status can only be read.", ("allow", "GET, HEAD"))
        position = status.position_of(intake.secret, head.url)
        found = None
        if position is not None:
            found = await self._journal.find(intake.queue.service.name, position)
        if found is None:
            return problem(404, "No such write, or it is no longer kept.")
        if found.response is not None:
            return relay(found.response, ("cachemig-write", found.state.value),
                          ("cache-control", "no-store"))  # fmt: skip
        facts = {"state": found.state.value, "accepted_at": found.accepted_at}
        if found.state is WriteState.ACCEPTED:
            return report(202, facts, _RETRY_AFTER)
        return report(200, facts)


def _in_flight(*, same: bool) -> Response:
    if same:
        return problem(409, "The first request with this Idempotency-Key is under way.")
    return problem(422, "This Idempotency-Key came with another request before.")


def _for_guest(head: RequestHead) -> tuple[Headers, bool]:
    """Return the headers for the guest, and whether the client prefers an answer at once."""
    kept = [
        (name, value)
        for name, value in end_to_end(head.headers)
        if name not in _DROPPED and not name.startswith(OURS)
    ]
    later = False
    for index, (name, value) in enumerate(kept):
        if name == "prefer":
            wishes = [wish.strip() for wish in value.split(",")]
            others = [wish for wish in wishes if wish.lower() != "respond-async"]
            if len(others) != len(wishes):
                later = True
                kept[index] = (name, ", ".join(others))
    return tuple((name, value) for name, value in kept if name != "prefer" or value), later


def _changed(write: HeldWrite, answer: GuestResponse) -> tuple[str, ...]:
    """Return the URLs that RFC 9111 section 4.4 says are changed too, of the same host."""
    if not 200 <= answer.status < 400:
        return ()
    found = []
    for name in ("location", "content-location"):
        value = answer.header(name)
        if value is None:
            continue
        try:
            whole = urllib.parse.urljoin(f"http://{write.host}{write.url}", value)
            url = urllib.parse.urlsplit(whole)
        except ValueError:
            continue
        if url.netloc == write.host and url.path:
            found.append(url.path + (f"?{url.query}" if url.query else ""))
    return tuple(found)

"""Handles each request from the edge: refuse it, or accept the write and respond."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.intake import keys, page, status
from nova_cachemig.agent.intake.admission import Admission, Arrival
from nova_cachemig.agent.intake.http import (
    CLIENT,
    MAX_HOST,
    MAX_METHOD,
    RETRY_AFTER,
    SERVICE,
    RequestHead,
    Response,
    guest_response,
    json_response,
    problem_response,
)
from nova_cachemig.agent.intake.identity import Identity
from nova_cachemig.agent.intake.service import HeldClient, ServiceIntake
from nova_cachemig.agent.intake.timeouts import AcceptanceTimeouts
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.cipher import DecryptionError
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.queries import StoredWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.methods import IDEMPOTENT
from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import (
    KEYED_METHODS,
    AcceptedWrite,
    Body,
    GuestResponse,
    WriteState,
    is_conditional,
)
from nova_cachemig.replay.actions import Tell, Told
from nova_cachemig.replay.entry import Entry

LOG = logging.getLogger(__name__)

# Seconds; the journal itself gives up after 5 s, unless the database does not respond at all.
_ACCEPTANCE_TIMEOUT: Final = 15.0


class RequestHandler:
    """The rules of the intake."""

    def __init__(
        self, journal: Journal, conf: cfg.ConfigOpts, intakes: dict[str, ServiceIntake]
    ) -> None:
        """``intakes``: by name, the services whose writes are accepted."""
        self._journal = journal
        self._conf = conf.journal
        self._intakes = intakes
        self.admission = Admission(journal.space, conf)
        self._timeouts = AcceptanceTimeouts()
        self.refused = 0

    def refuse(self, head: RequestHead) -> Response | None:
        """Return the refusal of a request before its body arrives; None to read the body."""
        refusal = self._refusal(head)
        if refusal is not None:
            self.refused += 1
        return refusal

    def _refusal(self, head: RequestHead) -> Response | None:
        length = head.length or 0
        if length > self.admission.max_body:
            return self.admission.too_large()
        if head.url.startswith(status.PREFIX):
            return None
        if len(head.method) > MAX_METHOD:
            return problem_response(501, f"The method has more than {MAX_METHOD} characters.")
        if len(head.get("host") or "") > MAX_HOST:
            return problem_response(400, f"The host has more than {MAX_HOST} characters.")
        intake = self._intakes.get(head.get(SERVICE) or "")
        if intake is None:
            detail = "This node does not accept writes of this service."
            return problem_response(503, detail, RETRY_AFTER)
        return self.admission.refusal(intake, length)

    def arrival(self, head: RequestHead) -> Arrival | None:
        """Reserve space for a request that :meth:`refuse` has let pass; None if it needs none.

        The caller must end the arrival when the request is accepted or refused.
        """
        intake = self._intakes.get(head.get(SERVICE) or "")
        return None if intake is None else Arrival(self.admission, intake, head.length or 0)

    async def handle(
        self, head: RequestHead, body: Body, arrival: Arrival | None = None
    ) -> Response | HeldClient:
        """Handle a request that :meth:`refuse` has let pass.

        Returns a ``HeldClient`` for :meth:`wait_for_response` if the client waits for the guest.
        Deletes the body's spool file if the write is not accepted. ``arrival``: the request's.
        """
        service = head.get(SERVICE) or ""
        intake = self._intakes.get(service)
        try:
            if head.url.startswith(status.PREFIX):
                return await self._reject(body, await self._status_response(service, head))
            if intake is None:
                detail = "This node no longer accepts writes of this service."
                return await self._reject(body, problem_response(503, detail, RETRY_AFTER))
            key = head.get(keys.HEADER)
            if key is None:
                return await self._accept(intake, head, body, None, arrival)
            return await self._accept_keyed(intake, head, body, key, arrival)
        except JournalError as exc:
            LOG.error("Refused a request for %s: %s", service, exc)
            detail = "The journal cannot be read now. This request was not accepted."
            return await self._reject(body, problem_response(503, detail, RETRY_AFTER))

    async def _reject(self, body: Body, response: Response) -> Response:
        if body.spool is not None:
            await asyncio.to_thread(self._journal.spool.remove, body.spool)
        return response

    # --- Idempotency-Key

    async def _accept_keyed(
        self,
        intake: ServiceIntake,
        head: RequestHead,
        body: Body,
        key: str,
        arrival: Arrival | None,
    ) -> Response | HeldClient:
        cookie = intake.replay.service.client_cookie
        identity = Identity(head.headers, head.get(CLIENT) or "", cookie)
        digest = keys.digest(key, identity.login)
        fingerprint = await self._fingerprint(head, body, identity)
        if (other := intake.keys.get(digest)) is not None:
            return await self._reject(body, _key_conflict(keys.difference(other, fingerprint)))
        intake.keys[digest] = fingerprint  # before any await: a second request must find it
        try:
            name = intake.replay.service.name
            exact = keys.exact_digest(key, identity)
            known = await self._journal.read(
                lambda c: queries.find_key(c, name, exact) or queries.find_key(c, name, digest)
            )
            if known is not None and known[0] != fingerprint:
                difference = keys.difference(known[0], fingerprint)
                return await self._reject(body, _key_conflict(difference))
            if known is not None:
                repeated = await self._repeated_response(intake, known[1])
                if repeated is not None:
                    return await self._reject(body, repeated)
            elif (first := await self._under_former_login(intake, key, identity)) is not None:
                return await self._reject(body, _renewed_login(first, fingerprint))
            return await self._accept(intake, head, body, (digest, fingerprint), arrival)
        finally:
            del intake.keys[digest]

    async def _under_former_login(
        self, intake: ServiceIntake, key: str, identity: Identity
    ) -> str | None:
        """Return the fingerprint of a request with this key and a login that was renewed since."""
        service = intake.replay.service.name
        for login in intake.reads.renewals.former(identity.login):
            former = keys.digest(key, login)
            if former in intake.keys:
                return intake.keys[former]
            known = await self._journal.read(
                functools.partial(queries.find_key, service=service, digest=former)
            )
            if known is not None:
                return known[0]
        return None

    async def _fingerprint(self, head: RequestHead, body: Body, identity: Identity) -> str:
        host, kind = head.get("host") or "", head.get("content-type")
        facts = (head.method, host, head.url, kind, body, identity, self._journal.spool.read)
        if body.spool is None:
            return keys.fingerprint(*facts)
        try:
            return await asyncio.to_thread(keys.fingerprint, *facts)
        except (OSError, DecryptionError) as exc:
            raise JournalError(f"cannot read the body in {body.spool}: {exc}") from exc

    async def _repeated_response(self, intake: ServiceIntake, position: int) -> Response | None:
        """Return the response for a repeated request; None if it may be accepted again."""
        found = await self._find(intake.replay.service.name, position)
        if found is None or found.state is WriteState.DISCARDED:
            return None
        if found.response is not None:
            first = found.response
            return _lost_response(first) if first.body_is_lost else guest_response(first)
        location = ("location", status.url_of(intake.secret, position))
        if found.state is WriteState.ACCEPTED:
            detail = "The first request with this Idempotency-Key is in progress."
            return problem_response(409, detail, location)
        detail = "It is not yet known whether the first request was applied."
        return problem_response(409, detail, location)

    # --- writes

    async def _accept(
        self,
        intake: ServiceIntake,
        head: RequestHead,
        body: Body,
        key: tuple[str, str] | None,
        arrival: Arrival | None,
    ) -> Response | HeldClient:
        replay = intake.replay
        request = replay.arrive() if arrival is None else arrival.request
        request.key, request.is_connected = key, head.connected
        self._journal.failpoints.hit("received")
        respond_async = head.respond_async
        replay.submit(request, self._entry(replay.service, head, body, respond_async))
        self._timeouts.start(request, _ACCEPTANCE_TIMEOUT)
        try:
            known = await request.accepted
        except asyncio.CancelledError:
            replay.client_left(request)
            raise
        finally:
            self._timeouts.stop(request)
        if not known:  # the database does not respond at all
            replay.client_left(request)
            return _unknown_response(intake, request.position)
        if not request.told.done():
            self._journal.failpoints.hit("acknowledged")
            return HeldClient(intake, request, respond_async, head.navigates)
        tell = request.told.result()
        if tell.told is Told.REFUSED:
            refusal = problem_response(503, tell.why, RETRY_AFTER)
            return await self._reject(body, refusal)
        if tell.told is not Told.UNKNOWN:
            self._journal.failpoints.hit("acknowledged")
        return _response_of(intake, tell, respond_async=respond_async, navigates=head.navigates)

    def _entry(self, service: Service, head: RequestHead, body: Body, respond_async: bool) -> Entry:
        accept = service.writes is WriteMode.ACCEPT or service.policy.accepts(head.url)
        client_key = head.get(keys.HEADER)
        host, client = head.get("host") or "", head.get(CLIENT) or ""
        headers = head.for_guest(respond_async=not accept)

        def write(position: int, late: bool) -> AcceptedWrite:
            return AcceptedWrite(
                service.name,
                position,
                time.time(),
                head.method,
                head.url,
                host,
                headers,
                body,
                client,
                client_key or (keys.fresh() if service.honours_keys else None),
                client_key is not None,
                service.honours_keys,
                head.framed,
                late,
                accept or respond_async,
            )

        return Entry(
            write,
            client=client,
            page=head.url,
            idempotent=head.method in IDEMPOTENT,
            keyed=service.honours_keys and head.method in KEYED_METHODS,
            length=body.length,
            large=body.spool is not None,
            early=accept,
            prefers=respond_async,
            conditional=is_conditional(headers),
            keep=client_key is not None,
        )

    async def wait_for_response(self, held: HeldClient) -> Response:
        """Wait for the guest's response. After [journal] hold_timeout, or at the stop: 202.

        A client that prefers a 202 gets it after a second: a guest that responds until then may
        respond with 202 itself.
        """
        try:
            tell = await held.request.told
        except asyncio.CancelledError:
            self.client_gone(held)
            raise
        return _response_of(
            held.intake, tell, respond_async=held.respond_async, navigates=held.navigates
        )

    def client_gone(self, held: HeldClient) -> None:
        """The client has disconnected. Its write stays accepted."""
        held.intake.replay.client_left(held.request)

    # --- status URLs

    async def _status_response(self, service: str, head: RequestHead) -> Response:
        """Respond to a request of a status URL, also of a service in no handover."""
        if head.method not in {"GET", "HEAD"}:
            return problem_response(405, "A status is read-only.", ("allow", "GET, HEAD"))
        secret = await self._secret(service)
        position = None if secret is None else status.position_of(secret, head.url)
        found = None if position is None else await self._find(service, position)
        if found is None:
            detail = "There is no such write, or it is no longer kept."
            return problem_response(404, detail)
        if found.response is not None:
            return guest_response(found.response, ("cachemig-write", found.state.value),
                                  ("cache-control", "no-store"))  # fmt: skip
        waits = found.state is WriteState.ACCEPTED
        if head.navigates and found.state is not WriteState.DISCARDED:
            content = page.SAVED if waits else page.UNKNOWN
            return page.page_response(202 if waits else 200, content, head.url, refresh=waits)
        facts = {"state": found.state.value, "accepted_at": found.accepted_at}
        if waits:
            return json_response(202, facts, RETRY_AFTER)
        return json_response(200, facts)

    async def _find(self, service: str, position: int) -> StoredWrite | None:
        """Return a write as it was sent last: the operator may have let it be sent again."""
        found = await self._journal.find(service, position)
        while found is not None and found.moved_to is not None:
            found = await self._journal.find(service, found.moved_to)
        return found

    async def _secret(self, service: str) -> bytes | None:
        intake = self._intakes.get(service)
        if intake is not None:
            return intake.secret
        return await self._journal.read(lambda c: queries.secret(c, service))


def _response_of(
    intake: ServiceIntake, tell: Tell, *, respond_async: bool, navigates: bool
) -> Response:
    """Return the response that the machine has decided about."""
    if tell.told is Told.RESPONSE:
        return guest_response(tell.response)
    url = status.url_of(intake.secret, tell.position)
    if tell.told is Told.UNKNOWN:
        return _unknown_response(intake, tell.position, tell.why)
    if tell.told is Told.IN_DOUBT:
        detail = f"The server may or may not have applied this write: {tell.why}."
        return problem_response(502, detail, ("location", url))
    extra = (("preference-applied", "respond-async"),) if respond_async else ()
    if navigates:
        return page.page_response(202, page.SAVED, url, ("location", url), *extra, refresh=True)
    facts = {"state": WriteState.ACCEPTED.value, "status": url}
    return json_response(202, facts, ("location", url), RETRY_AFTER, *extra)


def _unknown_response(intake: ServiceIntake, position: int, why: str = "") -> Response:
    """Return what a proxy tells that has lost its server: the write may be applied or not.

    ``why``: the reason without a period; empty if the database is the reason.
    """
    detail = (
        f"It is unknown whether this write was or will be applied: {why}. The status URL tells "
        "the outcome."
        if why
        else "The journal's database does not say whether it has this write. The status URL tells "
        "as soon as it is known; if there is no such write then, it was not accepted."
    )
    return problem_response(504, detail, ("location", status.url_of(intake.secret, position)))


def _key_conflict(difference: str) -> Response:
    """``difference`` to the first request with the key; empty for a repetition."""
    if difference:
        return problem_response(422, difference)
    return problem_response(409, "The first request with this Idempotency-Key is in progress.")


def _lost_response(first: GuestResponse) -> Response:
    """Respond to a repetition if the body of the first response is not kept.

    With the status of the first one, a client would take the missing body for an empty one.
    """
    detail = (
        f"The server responded to the first request with this Idempotency-Key with {first.status}, "
        "but the body of its response is not kept. This request was not accepted."
    )
    location = first.header("location")
    extra = () if location is None else (("location", location),)
    return problem_response(409, detail, *extra)


def _renewed_login(first: str, second: str) -> Response:
    """Respond to a client whose login was renewed after its first request with this key."""
    if not keys.same_request(first, second):
        return problem_response(422, keys.difference(first, second))
    detail = (
        "This Idempotency-Key was used before the login was renewed. The first request was "
        "accepted, and this one was not: it would be applied twice."
    )
    return problem_response(409, detail)

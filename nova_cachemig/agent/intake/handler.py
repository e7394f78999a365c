"""Handles each request from the edge: refuse it, or accept the write and respond."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.intake import keys, responses, status
from nova_cachemig.agent.intake.admission import Admission, Arrival
from nova_cachemig.agent.intake.http import (
    CLIENT,
    MAX_HOST,
    MAX_METHOD,
    RETRY_AFTER,
    SERVICE,
    RequestHead,
    Response,
    problem_response,
)
from nova_cachemig.agent.intake.identity import Identity
from nova_cachemig.agent.intake.repetition import Repetition
from nova_cachemig.agent.intake.service import HeldClient, ServiceIntake
from nova_cachemig.agent.intake.status_urls import StatusUrls
from nova_cachemig.agent.intake.timeouts import AcceptanceTimeouts
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.methods import IDEMPOTENT
from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import (
    KEYED_METHODS,
    AcceptedWrite,
    Body,
    is_conditional,
)
from nova_cachemig.replay.actions import Told
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
        self._urls = StatusUrls(journal, intakes)
        self._repetition = Repetition(journal, self._urls)
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
                return await self._reject(body, await self._urls.respond(service, head))
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
        fingerprint = await self._repetition.fingerprint(head, body, identity)
        if (other := intake.keys.get(digest)) is not None:
            return await self._reject(
                body, responses.key_conflict(keys.difference(other, fingerprint))
            )
        intake.keys[digest] = fingerprint  # before any await: a second request must find it
        try:
            known = await self._repetition.first(intake.replay.service.name, key, identity, digest)
            if known is not None and known[0] != fingerprint:
                difference = keys.difference(known[0], fingerprint)
                return await self._reject(body, responses.key_conflict(difference))
            if known is not None:
                repeated = await self._repetition.response(intake, known[1])
                if repeated is not None:
                    return await self._reject(body, repeated)
            elif (
                first := await self._repetition.under_former_login(intake, key, identity)
            ) is not None:
                return await self._reject(body, responses.renewed_login(first, fingerprint))
            return await self._accept(intake, head, body, (digest, fingerprint), arrival)
        finally:
            del intake.keys[digest]

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
            return responses.unknown(intake, request.position)
        if not request.told.done():
            self._journal.failpoints.hit("acknowledged")
            return HeldClient(intake, request, respond_async, head.navigates)
        tell = request.told.result()
        if tell.told is Told.REFUSED:
            refusal = problem_response(503, tell.why, RETRY_AFTER)
            return await self._reject(body, refusal)
        if tell.told is not Told.UNKNOWN:
            self._journal.failpoints.hit("acknowledged")
        return responses.told(intake, tell, respond_async=respond_async, navigates=head.navigates)

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
            also=changed_urls(head.url, headers),
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
        return responses.told(
            held.intake, tell, respond_async=held.respond_async, navigates=held.navigates
        )

    def client_gone(self, held: HeldClient) -> None:
        """The client has disconnected. Its write stays accepted."""
        held.intake.replay.client_left(held.request)

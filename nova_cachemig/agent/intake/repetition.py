"""Finds the first request with an Idempotency-Key, and the response to its repetition."""

from __future__ import annotations

import asyncio
import functools

from nova_cachemig.agent.intake import keys, responses, status
from nova_cachemig.agent.intake.http import RequestHead, Response, guest_response, problem_response
from nova_cachemig.agent.intake.identity import Identity
from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.agent.intake.status_urls import StatusUrls
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.cipher import DecryptionError
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import Body, WriteState


class Repetition:
    """The rules for requests with a key. The caller keeps those in progress in its intake."""

    def __init__(self, journal: Journal, urls: StatusUrls) -> None:
        self._journal = journal
        self._urls = urls

    async def first(
        self, service: str, key: str, identity: Identity, digest: str
    ) -> tuple[str, int] | None:
        """Return the fingerprint and the position of the first request; None if there is none."""
        exact = keys.exact_digest(key, identity)
        return await self._journal.read(
            lambda c: queries.find_key(c, service, exact) or queries.find_key(c, service, digest)
        )

    async def under_former_login(
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

    async def fingerprint(self, head: RequestHead, body: Body, identity: Identity) -> str:
        """Return what distinguishes the request. Raises JournalError."""
        host, kind = head.get("host") or "", head.get("content-type")
        facts = (head.method, host, head.url, kind, body, identity, self._journal.spool.read)
        if body.spool is None:
            return keys.fingerprint(*facts)
        try:
            return await asyncio.to_thread(keys.fingerprint, *facts)
        except (OSError, DecryptionError) as exc:
            raise JournalError(f"cannot read the body in {body.spool}: {exc}") from exc

    async def response(self, intake: ServiceIntake, position: int) -> Response | None:
        """Return the response for a repeated request; None if it may be accepted again."""
        found = await self._urls.find(intake.replay.service.name, position)
        if found is None or found.state is WriteState.DISCARDED:
            return None
        if found.response is not None:
            first = found.response
            return responses.body_lost(first) if first.body_is_lost else guest_response(first)
        location = ("location", status.url_of(intake.secret, position))
        if found.state is WriteState.ACCEPTED:
            detail = "The first request with this Idempotency-Key is in progress."
            return problem_response(409, detail, location)
        detail = "It is not yet known whether the first request was applied."
        return problem_response(409, detail, location)

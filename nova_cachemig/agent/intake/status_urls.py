"""The status URLs of the writes, also of a service in no handover."""

from __future__ import annotations

from collections.abc import Mapping

from nova_cachemig.agent.intake import page, status
from nova_cachemig.agent.intake.http import (
    RETRY_AFTER,
    RequestHead,
    Response,
    guest_response,
    json_response,
    problem_response,
)
from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.agent.journal import queries
from nova_cachemig.agent.journal.queries import StoredWrite
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.model.write import WriteState


class StatusUrls:
    """Finds the writes of all services by their status URLs."""

    def __init__(self, journal: Journal, intakes: Mapping[str, ServiceIntake]) -> None:
        """``intakes``: by name, the services whose writes are accepted."""
        self._journal = journal
        self._intakes = intakes

    async def respond(self, service: str, head: RequestHead) -> Response:
        """Respond to a request of a status URL, also of a service in no handover."""
        if head.method not in {"GET", "HEAD"}:
            return problem_response(405, "A status is read-only.", ("allow", "GET, HEAD"))
        secret = await self._secret(service)
        position = None if secret is None else status.position_of(secret, head.url)
        found = None if position is None else await self.find(service, position)
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

    async def find(self, service: str, position: int) -> StoredWrite | None:
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

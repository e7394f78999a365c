"""The intake's state of one service."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from nova_cachemig.agent.intake import keys
from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.identity import Identity, with_cookies_of
from nova_cachemig.agent.intake.renewals import Renewals
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.write import AcceptedWrite, GuestResponse


class ServiceIntake:
    """Accepts one service's writes."""

    def __init__(
        self, queue: WriteQueue, barrier: ReadBarrier, secret: bytes, journal: Journal
    ) -> None:
        """``secret``: makes the service's status URLs unguessable."""
        self.queue = queue
        self._journal = journal
        self.barrier = barrier
        self.secret = secret
        self.uploads = 0  # requests that are arriving
        self.upload_bytes = 0  # reserved for their bodies
        # digest of a key → fingerprint of the request with it that is being accepted
        self.keys: dict[str, str] = {}
        self.renewals = Renewals()

    def on_response(
        self, write: AcceptedWrite, response: GuestResponse | None, release: Callable[[], None]
    ) -> None:
        """Invalidate what the write changed; then call ``release``, which lets the client go on.

        ``response`` is None for a quarantined write.
        """
        also = () if response is None else changed_urls(write.host, write.url, response)
        if response is not None:
            cookie = self.queue.service.client_cookie
            self.renewals.learn(write.headers, write.client, cookie, response)
        if response is not None and write.client_key and response.header("set-cookie") is not None:
            release = self._after_keys(write, response, release)
        self.barrier.release_reads(write.host, write.url, write.client, also, release)

    def _after_keys(
        self, write: AcceptedWrite, response: GuestResponse, release: Callable[[], None]
    ) -> Callable[[], None]:
        """The client has new cookies: let it repeat its request with them, then ``release``."""
        key, cookie = write.key or "", self.queue.service.client_cookie
        before = Identity(write.headers, write.client, cookie)
        after = Identity(with_cookies_of(response, write.headers), write.client, cookie)
        names = keys.digest(key, before.login), keys.exact_digest(key, after), keys.marks(after)
        return lambda: self._journal.add_key(write.service, *names, lambda _error: release())


@dataclasses.dataclass(slots=True)
class HeldClient:
    """The client of an accepted write that waits for the response. It holds no body in memory."""

    intake: ServiceIntake
    position: int
    response: asyncio.Future[GuestResponse]
    respond_async: bool = False  # the client prefers a 202

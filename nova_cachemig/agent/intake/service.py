"""The intake's state of one service."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from nova_cachemig.agent.intake import keys
from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.intake.identity import Identity, with_cookies_of
from nova_cachemig.agent.intake.renewals import Renewals
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.adapter import ServiceReplay
from nova_cachemig.agent.replay.entries import Request
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.write import AcceptedWrite, GuestResponse


class WriteReads:
    """The reads that must follow one service's writes: see :class:`replay.adapter.Reads`."""

    def __init__(self, barrier: ReadBarrier, journal: Journal, client_cookie: str | None) -> None:
        """``client_cookie``: the service's."""
        self._barrier = barrier
        self._journal = journal
        self.client_cookie = client_cookie
        self.renewals = Renewals()

    def hold(
        self, name: object, url: str, client: str, then: Callable[[], None], also: tuple[str, ...]
    ) -> None:
        """Hold the reads, under all host names."""
        self._barrier.hold(name, "", url, client, then, also)

    def rename(self, name: object, position: int) -> None:
        """The write has a position."""
        self._barrier.rename(name, position)

    def release(
        self,
        position: object,
        write: AcceptedWrite | None,
        response: GuestResponse | None,
        then: Callable[[], None],
    ) -> None:
        """Invalidate what the write changed, release the reads, then let the client go on."""
        if write is None:
            self._barrier.release(position, "", (), then)
            return
        also = changed_urls(write.url, write.headers, response)
        if response is not None:
            self.renewals.learn(write.headers, write.client, self.client_cookie, response)
        if response is not None and write.client_key and response.header("set-cookie") is not None:
            then = self._after_keys(write, response, then)
        self._barrier.release(position, write.host, (write.url, *also), then)

    def keep_only(self, wanted: Callable[[object], bool]) -> None:
        """Release all reads but those of the writes with these names."""
        self._barrier.keep_only(wanted)

    def _after_keys(
        self, write: AcceptedWrite, response: GuestResponse, release: Callable[[], None]
    ) -> Callable[[], None]:
        """The client has new cookies: let it repeat its request with them, then ``release``."""
        key, cookie = write.key or "", self.client_cookie
        before = Identity(write.headers, write.client, cookie)
        after = Identity(with_cookies_of(response, write.headers), write.client, cookie)
        names = keys.digest(key, before.login), keys.exact_digest(key, after), keys.marks(after)
        return lambda: self._journal.add_key(write.service, *names, lambda _error: release())


class ServiceIntake:
    """Accepts one service's writes."""

    def __init__(self, replay: ServiceReplay, reads: WriteReads, secret: bytes) -> None:
        """``secret``: makes the service's status URLs unguessable."""
        self.replay = replay
        self.reads = reads
        self.secret = secret
        self.uploads = 0  # requests that are arriving
        self.upload_bytes = 0  # reserved for their bodies
        # digest of a key → fingerprint of the request with it that is being accepted
        self.keys: dict[str, str] = {}

    @property
    def unused(self) -> bool:
        """Whether other writes go to the guest directly, and none of the service is left."""
        return self.replay.unused and not (self.uploads or self.keys)


@dataclasses.dataclass(slots=True)
class HeldClient:
    """The client of an accepted write that waits for the response. It holds no body in memory."""

    intake: ServiceIntake
    request: Request
    respond_async: bool = False  # the client prefers a 202
    navigates: bool = False  # a browser shows the response as a page

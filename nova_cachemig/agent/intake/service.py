"""The intake's state of one service, and the pages that a write changes."""

from __future__ import annotations

import asyncio
import dataclasses
import urllib.parse
from collections.abc import Callable

from nova_cachemig.agent.intake.barrier import ReadBarrier
from nova_cachemig.agent.replay.queue import WriteQueue
from nova_cachemig.model.write import AcceptedWrite, GuestResponse


class ServiceIntake:
    """Accepts one service's writes."""

    def __init__(self, queue: WriteQueue, barrier: ReadBarrier, secret: bytes) -> None:
        """``secret``: makes the service's status URLs unguessable."""
        self.queue = queue
        self.barrier = barrier
        self.secret = secret
        # digest of a key → fingerprint of the request with it that is being accepted
        self.keys: dict[str, str] = {}

    def on_response(
        self, write: AcceptedWrite, response: GuestResponse | None, release: Callable[[], None]
    ) -> None:
        """Invalidate what the write changed; then call ``release``, which lets the client go on.

        ``response`` is None for a quarantined write.
        """
        also = () if response is None else changed_urls(write, response)
        self.barrier.release_reads(write.host, write.url, write.client, also, release)


@dataclasses.dataclass(slots=True)
class HeldClient:
    """The client of an accepted write that waits for the response. It holds no body in memory."""

    intake: ServiceIntake
    position: int
    response: asyncio.Future[GuestResponse]


def changed_urls(write: AcceptedWrite, response: GuestResponse) -> tuple[str, ...]:
    """Return the URLs of the same host that the write changes too: RFC 9111, section 4.4."""
    if not 200 <= response.status < 400:
        return ()
    found = []
    for name in ("location", "content-location"):
        value = response.header(name)
        if value is None:
            continue
        try:
            absolute = urllib.parse.urljoin(f"http://{write.host}{write.url}", value)
            url = urllib.parse.urlsplit(absolute)
        except ValueError:
            continue
        if url.netloc == write.host and url.path:
            found.append(url.path + (f"?{url.query}" if url.query else ""))
    return tuple(found)

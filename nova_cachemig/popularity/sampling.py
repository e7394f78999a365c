"""A sample of each service's requests, from which a policy is proposed. Pure and bounded.

The edge names the cookies of one in eight requests, never their values. A reservoir keeps some of
these requests, so that a flood of one client takes no more memory than any other traffic.
"""

from __future__ import annotations

import collections
import dataclasses
import random
from typing import Final

from nova_cachemig.model import secret
from nova_cachemig.model.access import AccessRecord

MAX_REQUESTS: Final = 1_000
MAX_SERVICES: Final = 100
MAX_URL: Final = 300
_MAX_NAMES: Final = 40
_RENEWAL: Final = 20 * MAX_REQUESTS
"""Requests after which an old one is as likely to be replaced as at this number."""


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """One request; ``cookies`` are names. The URL has no secrets."""

    method: str
    url: str
    status: int
    cookies: tuple[str, ...]


@dataclasses.dataclass(slots=True)
class _Sample:
    since: float
    number: int = 0
    requests: list[Seen] = dataclasses.field(default_factory=list)


class RequestSamples:
    """The samples of the services. Not thread-safe; reads no clock."""

    def __init__(self, seed: int | None = None) -> None:
        self._rng = random.Random(seed)
        self._services: collections.OrderedDict[str, _Sample] = collections.OrderedDict()

    def record(self, record: AccessRecord) -> None:
        """Keep the request, or leave it out."""
        if record.cookies is None or len(record.url) > MAX_URL or not record.url.startswith("/"):
            return
        sample = self._services.get(record.service)
        if sample is None:
            sample = self._services[record.service] = _Sample(record.at)
            if len(self._services) > MAX_SERVICES:
                self._services.popitem(last=False)
        self._services.move_to_end(record.service)
        sample.number = min(sample.number + 1, _RENEWAL)
        if len(sample.requests) < MAX_REQUESTS:
            sample.requests.append(_seen(record))
        elif (place := self._rng.randrange(sample.number)) < MAX_REQUESTS:
            sample.requests[place] = _seen(record)

    def sample(self, service: str) -> tuple[float, list[Seen]]:
        """Return the time of the first request (UNIX seconds; 0: none) and the sample."""
        found = self._services.get(service)
        return (0.0, []) if found is None else (found.since, list(found.requests))


def _seen(record: AccessRecord) -> Seen:
    names = [name for name in record.cookies or () if not secret.is_random(name)]
    return Seen(record.method, secret.redact(record.url), record.status, tuple(names[:_MAX_NAMES]))

"""Finds out on which headers of strangers a page depends. Pure: the caller sends the requests.

A page may go to another user only if it declares so, or if it was seen to be alike. The warmer
fetches a page as one stranger, and then as others. Responses that are equal byte for byte show that
the page does not depend on anything in which the strangers differ. A page that changes with each
request is never proved.

A proof takes at most :data:`MAX_REQUESTS` further requests:

* Two strangers differ from the first in all dimensions. If all three responses are equal, the page
  depends on none. One stranger would not be enough: a site can show one of two versions at random.
* If the response to the first of them differs, the page is fetched as the first stranger again. If
  that differs too, the page changes with each request.
* If not, a stranger follows who differs only in who it is (address, cookies, browser), and not in
  language and scheme. If its response is equal, the page depends on the latter only.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections.abc import Mapping
from typing import Final

MAX_REQUESTS: Final = 3
"""Requests for one page, in addition to the first."""


class Dimension(enum.Enum):
    """A part of a request in which strangers differ, and the header that has it."""

    ADDRESS = "X-Forwarded-For"
    COOKIES = "Cookie"  # such that only scripts in the browser read
    BROWSER = "User-Agent"
    LANGUAGE = "Accept-Language"
    SCHEME = "X-Forwarded-Proto"


ALL: Final = frozenset(Dimension)
WHO: Final = frozenset({Dimension.ADDRESS, Dimension.COOKIES, Dimension.BROWSER})

Stranger = Mapping[Dimension, str]
"""The values of a stranger's headers; an absent dimension is an absent header."""

_PROVABLE_STATUS: Final = frozenset({200, 203, 301, 308, 404, 410})
_FORBIDDEN: Final = re.compile(r"(?<![\w-])(?:no-store|private|no-cache)(?![\w-])", re.IGNORECASE)
# These say nothing about the page: they differ in each response of any server.
_NEUTRAL: Final = frozenset(
    {
        "age",
        "cache-status",
        "connection",
        "date",
        "expires",
        "keep-alive",
        "server-timing",
        "transfer-encoding",
        "via",
        "x-request-id",
        "x-runtime",
        "x-varnish",
    }
)


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A response as it is compared. ``digest``: of status, headers and body."""

    digest: bytes
    provable: bool  # nothing in it forbids sharing
    varies: frozenset[Dimension]  # dimensions on which it declares to depend


def sample(status: int, headers: Mapping[str, str], body_digest: bytes) -> Sample:
    """Return the sample of a response; header names are in lower case.

    ``body_digest`` is a cryptographic hash of the whole body, as sent.
    """
    digest = hashlib.blake2b(b"%d\n" % status, digest_size=16)
    for name, value in sorted(headers.items()):
        if name not in _NEUTRAL and not name.startswith("x-cachemig-"):
            field = f"{len(name)}:{name}{len(value)}:{value}"
            digest.update(field.encode("utf-8", "surrogateescape"))
    digest.update(body_digest)
    vary = {name.strip().lower() for name in headers.get("vary", "").split(",")}
    return Sample(
        digest.digest(),
        provable=(
            status in _PROVABLE_STATUS
            and not {"set-cookie", "set-cookie2"} & headers.keys()
            and "*" not in vary
            and _FORBIDDEN.search(headers.get("cache-control", "")) is None
        ),
        varies=frozenset(d for d in Dimension if d.value.lower() in vary),
    )


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """The result for one page.

    ``alike``: the page is the same for the values of these dimensions that were tried. ``depends``:
    the others, which must be part of the key. ``changing``: the page changes with each request.
    """

    alike: frozenset[Dimension] = frozenset()
    depends: frozenset[Dimension] = ALL
    changing: bool = False


NOT_PROVED: Final = Proof()


class Trial:
    """The proof of one page. The caller sends :meth:`next` until it is None."""

    def __init__(self, first: Stranger, second: Stranger, third: Stranger, sample: Sample) -> None:
        """``sample``: the response to ``first``. The others differ from it, and each other."""
        self._first, self._others = first, (second, third)
        self._base = sample
        # The cache respects Vary. Cookies that only scripts read are tried anyway.
        declared = sample.varies - {Dimension.COOKIES}
        self._tried = frozenset(
            d for d in ALL - declared if len({s.get(d) for s in (first, second, third)}) == 3
        )
        self._sent = 0
        self._differed = False  # the response to the second stranger
        self.proof: Proof | None = None  # None: not finished
        if not sample.provable or not self._tried:
            self.proof = NOT_PROVED

    def next(self) -> Stranger | None:
        """Return the stranger whose request to send next; None if the proof is finished."""
        if self.proof is not None:
            return None
        if self._sent == 0:
            return self._vary(self._others[0], self._tried)
        if not self._differed:
            return self._vary(self._others[1], self._tried)
        if self._sent == 1:
            return self._first
        return self._vary(self._others[0], self._tried & WHO)

    def _vary(self, other: Stranger, dimensions: frozenset[Dimension]) -> Stranger:
        merged = dict(self._first)
        for dimension in dimensions:
            merged.pop(dimension, None)
            if dimension in other:
                merged[dimension] = other[dimension]
        return merged

    def add(self, sample: Sample) -> None:
        """Add the response to the request that :meth:`next` returned."""
        self._sent += 1
        equal = sample.provable and sample.digest == self._base.digest
        if self._sent == 1:
            self._differed = not equal
            if self._differed and not self._tried & WHO:  # nothing smaller to try
                self.proof = NOT_PROVED
        elif not self._differed:
            self.proof = _proved(self._tried) if equal else NOT_PROVED
        elif self._sent == 2:
            if not equal:
                self.proof = Proof(changing=True)
            elif self._tried <= WHO:
                self.proof = NOT_PROVED
        else:
            self.proof = _proved(self._tried & WHO) if equal else NOT_PROVED


def _proved(alike: frozenset[Dimension]) -> Proof:
    return Proof(alike, ALL - alike)

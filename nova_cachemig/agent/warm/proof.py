"""Finds out on which headers of strangers a page depends. Pure: the caller sends the requests.

A page may go to another user only if it was seen to be alike. The warmer fetches a page as one
stranger, and then as others. Responses that are equal byte for byte show that the page does not
depend on anything in which the strangers differ. A page that changes with each request is never
proved.

A proof takes at most :data:`MAX_REQUESTS` further requests:

* Two strangers differ from the first in all dimensions. If all three responses are equal, the page
  depends on none. One stranger would not be enough: a site can show one of two versions at random.
* If the response to the first of them differs, the page is fetched as the first stranger again. If
  that differs too, the page changes with each request.
* If not, two strangers follow who differ only in who they are (address, cookies, browser, the page
  that they come from), and not in language. If their responses are equal, the page depends on the
  language only.

The scheme is not a dimension of a proof. A guest can have a cache, and a request with another
scheme than those of its users could put a redirect there. So a page is used only for users
with the scheme of the request that got it.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import re
from collections.abc import Mapping
from typing import Final

MAX_REQUESTS: Final = 4
"""Requests for one page, in addition to the first."""


class Dimension(enum.Enum):
    """A part of a request in which strangers differ, and the header that has it."""

    ADDRESS = "X-Forwarded-For"
    COOKIES = "Cookie"  # such that only scripts in the browser read
    BROWSER = "User-Agent"
    ACCEPT = "Accept"
    REFERER = "Referer"
    LANGUAGE = "Accept-Language"


ALL: Final = frozenset(Dimension)
WHO: Final = ALL - {Dimension.LANGUAGE}

Stranger = Mapping[Dimension, str]
"""The values of a stranger's headers; an absent dimension is an absent header."""

_PROVABLE_STATUS: Final = frozenset({200, 203, 301, 308, 404, 410})
_FORBIDDEN: Final = re.compile(r"(?<![\w-])(?:no-store|private|no-cache)(?![\w-])", re.IGNORECASE)
_CONTROLS: Final = ("cache-control", "cdn-cache-control", "surrogate-control")
# These say nothing about the page: they differ in each response of any server. The length of a
# compressed body can, too, and the digest covers the body.
_NEUTRAL: Final = frozenset(
    {
        "age",
        "cache-status",
        "connection",
        "content-length",
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

    ``body_digest`` is a cryptographic hash of the whole body, decompressed; empty: it is unknown.
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
            and body_digest != b""
            and not any(_FORBIDDEN.search(headers.get(name, "")) for name in _CONTROLS)
        ),
        varies=frozenset(d for d in Dimension if d.value.lower() in vary),
    )


class Verdict(enum.Enum):
    """Why a page is shared, or why not."""

    PROVED = "is alike for strangers"
    DEPENDENT = "depends on who asks"
    CHANGING = "changes with each request"
    FORBIDDEN = "forbids to share it"


FOR_WHO: Final = 1
FOR_LANGUAGE: Final = 2


@dataclasses.dataclass(frozen=True, slots=True)
class Proof:
    """The result for one page.

    ``alike``: the page is the same for the values of these dimensions that were tried.
    ``declared``: those that the response names in Vary, by which the cache tells the users apart.
    """

    verdict: Verdict
    alike: frozenset[Dimension] = frozenset()
    declared: frozenset[Dimension] = frozenset()

    @property
    def flags(self) -> int:
        """The number by which the engine learns who can use the page; 0: no user."""
        if self.verdict is not Verdict.PROVED:
            return 0
        return FOR_WHO | (FOR_LANGUAGE if Dimension.LANGUAGE in self.alike else 0)


class Trial:
    """The proof of one page. The caller sends :meth:`next` until it is None."""

    def __init__(self, first: Stranger, second: Stranger, third: Stranger, sample: Sample) -> None:
        """``sample``: the response to ``first``. The others differ from it, and each other."""
        strangers = (first, second, third)
        self._first, self._others = first, (second, third)
        self._base = sample
        # The cache respects Vary. Cookies that only scripts read are tried anyway.
        self._declared = sample.varies - {Dimension.COOKIES}
        self._tried = frozenset(
            d for d in ALL - self._declared if len({s.get(d) for s in strangers}) == 3
        )
        missing = WHO - self._tried - self._declared
        if not any(Dimension.COOKIES in stranger for stranger in strangers):
            missing -= {Dimension.COOKIES}  # such a user is not a stranger
        self._answers: list[bool] = []  # whether each response so far is equal to the first
        self.proof: Proof | None = None  # None: not finished
        if not sample.provable:
            self.proof = Proof(Verdict.FORBIDDEN)
        elif missing:
            self.proof = Proof(Verdict.DEPENDENT)

    def next(self) -> Stranger | None:
        """Return the stranger whose request to send next; None if the proof is finished."""
        if self.proof is not None:
            return None
        sent = len(self._answers)
        if sent == 0:
            return self._vary(self._others[0], self._tried)
        if self._answers[0]:
            return self._vary(self._others[1], self._tried)
        if sent == 1:
            return self._first
        return self._vary(self._others[sent - 2], self._tried & WHO)

    def _vary(self, other: Stranger, dimensions: frozenset[Dimension]) -> Stranger:
        merged = dict(self._first)
        for dimension in dimensions:
            merged.pop(dimension, None)
            if dimension in other:
                merged[dimension] = other[dimension]
        return merged

    def add(self, sample: Sample) -> None:
        """Add the response to the request that :meth:`next` returned."""
        equal = sample.provable and sample.digest == self._base.digest
        self._answers.append(equal)
        sent = len(self._answers)
        if self._answers[0]:
            if sent == 2:
                self.proof = self._result(equal, self._tried)
        elif sent == 1:
            return
        elif not equal:
            self.proof = Proof(Verdict.CHANGING if sent == 2 else Verdict.DEPENDENT)
        elif Dimension.LANGUAGE not in self._tried:
            self.proof = Proof(Verdict.DEPENDENT)  # no dimension can be left out
        elif sent == MAX_REQUESTS:
            self.proof = self._result(equal, self._tried & WHO)

    def _result(self, equal: bool, alike: frozenset[Dimension]) -> Proof:
        if not equal:
            return Proof(Verdict.CHANGING)
        return Proof(Verdict.PROVED, alike, self._declared)

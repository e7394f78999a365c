"""Tests of the suite that fail, each with the reason.

The stage fails for each other failure, and for each entry here that is seen no more. Tests of the
kind *check* only ask what a cache does, so they cannot fail.
"""

from __future__ import annotations

import dataclasses
from fnmatch import fnmatchcase
from typing import Final


@dataclasses.dataclass(frozen=True)
class Known:
    """``tests`` is a pattern of names."""

    tests: str
    reason: str

    def covers(self, test: str) -> bool:
        """Tell whether this entry names the test."""
        return fnmatchcase(test, self.tests)


_ONE_CLIENT: Final = "it goes to the client who asked, so it is not stored"
_WRITERS: Final = "the guest may have applied a write that it calls failed"
_NO_STORE: Final = "no-store forbids storing, whatever another field permits"
_LONGER: Final = "a targeted field can end the freshness earlier, never later"
_DIMENSION: Final = "by default, a page can depend on each header of a request"
_OLD_TEST: Final = "the suite reads a 502 as a stored response; later commits do not"
_AGE: Final = "the suite expects doubt about an unusual Age; later commits expect this result"
_BY_VARNISH: Final = "Varnish does not do it"
_BY_THE_VCL: Final = "only statuses of finished pages are stored"

_ALWAYS: Final = (
    Known("headers-store-Set-Cookie*", _ONE_CLIENT),
    Known("headers-store-Transfer-Encoding", "HAProxy refuses an unknown transfer coding"),
    Known("other-authorization-*", "a request with Authorization identifies its client"),
    Known("other-set-cookie", _ONE_CLIENT),
    Known("other-cookie", "a request with a cookie identifies its client"),
    Known("invalidate-*-failed", _WRITERS),
    Known("method-POST", "a write is not answered from the cache"),
    Known("vary-cache-key", _DIMENSION),
    Known("vary-normalise-[ls]*", _DIMENSION),
    Known("cc-resp-no-cache-revalidate*", "a response with no-cache is not stored"),
    Known("heuristic-*-cached", "without a declared freshness, a page is used in the silence only"),
    Known("status-303-fresh", _BY_THE_VCL),
    Known("status-308-fresh", "Varnish finds no freshness for this status"),
    Known("status-[245]99-fresh", _BY_THE_VCL),
    Known("status-[45]0?-fresh", _BY_THE_VCL),
    Known("conditional-lm-fresh-no-lm", _BY_VARNISH),
    Known("conditional-etag-strong-respond-multiple-*", _BY_VARNISH),
    Known("partial-store-partial-*", "the suite's 206 has another length than it says"),
)

RELEASE: Final = (
    *_ALWAYS,
    Known("stale-close-*", _OLD_TEST),
    Known("age-parse-*", _AGE),
    Known("304-etag-update-response-Set-Cookie*", _ONE_CLIENT),
    Known("304-etag-update-response-Content-MD5", "Varnish takes all fields of a 304"),
    Known("304-etag-update-response-Content-Range", "Varnish takes all fields of a 304"),
    Known("304-etag-update-response-ETag", "Varnish takes all fields of a 304"),
    Known("vary-normalise-combine", _DIMENSION),
    Known("surrogate-fresh-cc-nostore", _NO_STORE),
    Known("surrogate-max-age*", _LONGER),
)
"""Of the release 0.4.5."""

COMMIT: Final = (
    *_ALWAYS,
    Known("age-parse-float", "Varnish takes 7200.0 for 7200, so the page is stale earlier"),
    Known("cdn-fresh-cc-nostore", _NO_STORE),
    Known("cdn-max-age*", _LONGER),
    Known("freshness-expires-ansi-c", _BY_VARNISH),
    Known("freshness-expires-wrong-case-*", _BY_VARNISH),
    Known("status-200-must-understand", _NO_STORE),
    Known(
        "interim-*", "Varnish does not pass interim responses, and stores no response behind one"
    ),
)
"""Of the commit b55b8bd of July 2026."""

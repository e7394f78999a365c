"""Classes of request headers: which of them a page may depend on, and who may share it.

A page goes to another client only if nothing in the two requests tells that the page could differ.
So each header of a request is of one class:

* :data:`NEUTRAL`: no page depends on it, or a cache handles it itself (conditions, ranges).
* :data:`IDENTIFYING`: it tells who asks. Pages for such a request go to the same client only.
* :data:`ORDINARY`: browsers send it, and the warmer proves whether a page depends on it.
* All others are dimensions: a page goes only to requests with the same values.

The edge has the same lists (``sharing.lua``). A policy can add ``neutral_headers`` and
``identifying_headers`` for some paths; they come before these lists.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Final

from nova_cachemig.model.policy import matches

NEUTRAL: Final = (
    "host", "connection", "keep-alive", "te", "date", "via", "content-length", "accept-encoding",
    "cache-control", "pragma", "if-*", "range", "priority", "upgrade-insecure-requests",
    "sec-fetch-*", "sec-gpc", "dnt", "purpose", "sec-purpose", "traceparent", "tracestate",
    "baggage", "x-request-id", "x-correlation-id", "x-request-start", "x-b3-*", "x-amzn-trace-id",
    "x-cloud-trace-context", "cf-ray", "cdn-loop", "x-cachemig-*",
)  # fmt: skip

IDENTIFYING: Final = (
    "authorization", "authentication", "proxy-authorization", "cookie", "cookie2", "from",
    "*token*", "*key*", "*csrf*", "*xsrf*", "*jwt*", "*session*", "*secret*", "*credential*",
    "*identity*", "*principal*", "*password*", "*signature*", "*remote-*", "*-remote", "*auth-*",
    "*-auth", "*webauth*", "*oidc*", "*saml*", "*-groups", "*-email", "*email*",
    "*-preferred-username", "*username*", "*-user", "*-user-*", "x-user*", "*account*",
    "*tenant*", "*-org", "*-org-*", "*orgid*", "*client-cert*", "*client-dn*", "*client-s-dn*",
    "*client-verify*", "x-ssl-*", "ssl-*", "cf-access-*", "x-goog-*", "x-ms-client-*",
    "*client-id*", "*device-id*", "*customer*",
)  # fmt: skip

ORDINARY: Final = (
    "user-agent", "accept", "accept-language", "referer", "sec-ch-ua*", "x-forwarded-for",
    "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "forwarded",
)  # fmt: skip

NEVER_NEUTRAL: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "cookie2", "set-cookie"}
)
"""No policy can make these headers neutral."""


class HeaderClass(enum.Enum):
    """The class of a request header."""

    NEUTRAL = enum.auto()
    IDENTIFYING = enum.auto()
    ORDINARY = enum.auto()
    OTHER = enum.auto()


def class_of(
    name: str, *, neutral: Iterable[str] = (), identifying: Iterable[str] = ()
) -> HeaderClass:
    """Return the class of a header, by its name in lower case.

    ``neutral`` and ``identifying`` are the globs of the policy. The first list that has the name
    decides. The policy's identifying headers come first.
    """
    lists = (
        (identifying, HeaderClass.IDENTIFYING),
        (() if name in NEVER_NEUTRAL else neutral, HeaderClass.NEUTRAL),
        (NEUTRAL, HeaderClass.NEUTRAL),
        (IDENTIFYING, HeaderClass.IDENTIFYING),
        (ORDINARY, HeaderClass.ORDINARY),
    )
    for globs, found in lists:
        if any(matches(glob, name) for glob in globs):
            return found
    return HeaderClass.OTHER

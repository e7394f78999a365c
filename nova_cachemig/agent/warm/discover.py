"""What HTML and CSS embed, or link to, on the same host. Pure.

Only what a browser would fetch by itself is taken by default: images, scripts, style sheets,
fonts. A link is another matter: a GET that no user made may do something. Those are followed only
on request, and never where the words look like an action.

Patterns rather than a parser: no HTML is too broken, the cost is linear, and a wrong find costs
one request for a page that is not there.
"""

from __future__ import annotations

import html
import itertools
import re
import urllib.parse
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

_TAG: Final = re.compile(
    r"<(img|script|link|source|input|video|body|a|base)\b([^<>]{1,4000})", re.IGNORECASE
)
# Consumes every attribute, so that none is found within the value of another; linear, as only the
# last quote of a tag can be without its twin.
_ATTRIBUTE: Final = re.compile(
    r"""([a-z-]+)\s{0,9}(?:=\s{0,9}(?:"([^"]*)"|'([^']*)'|([^\s"'<>]+)))?""", re.IGNORECASE
)
_CSS: Final = re.compile(
    r"""url\(\s{0,9}(?:"([^"()]{1,2000})"|'([^'()]{1,2000})'|([^\s"'()]{1,2000}))\s{0,9}\)"""
    r"""|@import\s{1,9}(?:"([^"]{1,2000})"|'([^']{1,2000})')""",
    re.IGNORECASE,
)
_EMBEDDED_RELS: Final = frozenset(
    {"stylesheet", "icon", "shortcut", "preload", "modulepreload", "apple-touch-icon", "manifest"}
)
_ACTION: Final = re.compile(
    r"log[-_]?(?:out|off|in)|sign[-_]?(?:out|off|in|up)|unsubscribe|subscribe|delete|remove|destroy"
    r"|add|buy|cart|checkout|order|pay|edit|update|save|create|submit|post|vote|like|follow"
    r"|confirm|cancel|activate|reset|export|download|toggle|accept|reject|approve|admin|api|cgi-bin",
    re.IGNORECASE,
)
_MOST: Final = 1000  # references of one page that are looked at
_SENT: Final = re.compile(r"/[\x21-\x7e]{0,2047}")


def wanted(headers: Mapping[str, str], limit: int) -> int:
    """Bytes of this answer's body that are worth keeping: ``limit`` of HTML and CSS, else 0."""
    return limit if _kind(headers) and _decodable(headers) else 0


def _kind(headers: Mapping[str, str]) -> str:
    content = headers.get("content-type", "").partition(";")[0].strip().lower()
    return {"text/html": "html", "application/xhtml+xml": "html", "text/css": "css"}.get(
        content, ""
    )


def _decodable(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "identity").strip().lower() in {"identity", "gzip", ""}


def found(
    base: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    limit: int,
    links: bool = False,
    queries: bool = False,
) -> list[str]:
    """URLs (path and query) on ``host`` in the body of the page at URL ``base``, in order.

    ``limit`` bounds the decompressed bytes that are searched.
    """
    text = _text(headers, body, limit)
    kind = _kind(headers)
    if kind == "css":
        references: Iterator[tuple[str, bool]] = ((url, False) for url in _in_css(text))
    elif kind == "html":
        references = _in_html(text)
    else:
        return []
    urls: dict[str, None] = {}
    for reference, is_link in itertools.islice(references, _MOST):
        if is_link and not links:
            continue
        url = _resolve(base, host, reference)
        if url is None or ("?" in url and not queries):
            continue
        if is_link and _ACTION.search(url):
            continue
        urls[url] = None
    return list(urls)


def _text(headers: Mapping[str, str], body: bytes, limit: int) -> str:
    if headers.get("content-encoding", "").strip().lower() == "gzip":
        try:
            body = zlib.decompressobj(wbits=31).decompress(body, limit)  # the rest: never unpacked
        except zlib.error:
            return ""
    return body[:limit].decode("utf-8", "replace")


def _in_css(text: str) -> Iterator[str]:
    for match in _CSS.finditer(text):
        yield next(group for group in match.groups() if group is not None)


def _in_html(text: str) -> Iterator[tuple[str, bool]]:
    """(reference, whether it is a link that a user would have to follow)."""
    for match in _TAG.finditer(text):
        tag, attributes = match[1].lower(), _attributes(match[2])
        if tag == "base" and "href" in attributes:
            return  # what the references mean is the page's own idea
        if tag == "a":
            if "href" in attributes and "download" not in attributes:
                yield attributes["href"], True
        elif tag == "link":
            if "href" in attributes and _EMBEDDED_RELS & set(
                attributes.get("rel", "").lower().split()
            ):
                yield attributes["href"], False
        else:
            yield from ((reference, False) for reference in _sources(tag, attributes))
    yield from ((reference, False) for style in _styles(text) for reference in _in_css(style))


def _styles(text: str) -> Iterator[str]:
    lower, end = text.lower(), 0  # of as many characters, or a style is missed
    while (begin := lower.find("<style", end)) >= 0:
        end = lower.find("</style", begin)
        if end < 0:
            return
        yield text[begin:end]


def _sources(tag: str, attributes: Mapping[str, str]) -> Iterator[str]:
    if tag == "input" and attributes.get("type", "").lower() != "image":
        return
    names = {"video": ("poster",), "body": ("background",)}.get(tag, ("src",))
    for name in names:
        if name in attributes:
            yield attributes[name]
    for candidate in attributes.get("srcset", "").split(", "):
        if candidate.strip():
            yield candidate.split()[0]


def _attributes(text: str) -> dict[str, str]:
    attributes: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(text):
        value = next((group for group in match.groups()[1:] if group is not None), "")
        attributes.setdefault(match[1].lower(), html.unescape(value))
    return attributes


def _resolve(base: str, host: str, reference: str) -> str | None:
    """Path and query, or None when it is elsewhere or cannot be sent."""
    try:
        there = urllib.parse.urlsplit(
            urllib.parse.urljoin(f"http://{host}{base}", reference.strip())
        )
        if there.scheme not in {"http", "https"} or there.netloc.lower() != host.lower():
            return None
    except ValueError:
        return None
    url = there.path or "/"
    if there.query:
        url += f"?{there.query}"
    return url if _SENT.fullmatch(url) else None

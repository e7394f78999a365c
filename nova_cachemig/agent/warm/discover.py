"""What HTML and CSS embed, and where HTML links to, on the same host. Pure.

What a browser would fetch by itself (images, scripts, style sheets, fonts) is safe to fetch. A link
is another matter: a GET that no user made may do something on a site that does not keep to HTTP
(RFC 9110, 9.2.1). So none is told that the page itself does not want to be followed, that is no
plain page, or that a pattern takes for an action; nor any that only stands in a comment or script.

Patterns rather than a parser: no HTML is too broken, the cost is linear, and a wrong find costs
one request for a page that is not there.
"""

from __future__ import annotations

import html
import itertools
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

_TAG: Final = re.compile(
    r"<(?:!--|(img|script|link|source|input|video|body|area|a|base|meta)\b([^<>]{0,4000}))",
    re.IGNORECASE,
)
_SCRIPT_ENDS: Final = re.compile("</script", re.IGNORECASE)
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
# What users are led to, or what the page says they will need. Not canonical, alternate and their
# like: nobody clicks on those.
_LINKED_RELS: Final = frozenset({"next", "prev", "prefetch", "prerender"})
# Links for which the site does not answer, by its own words.
_UNTRUSTED_RELS: Final = frozenset({"nofollow", "ugc", "sponsored"})
# A file to keep, or (in frameworks' words) a request with another method.
_NO_PAGE: Final = frozenset({"download", "data-method", "data-turbo-method"})
_NOT_FOLLOWED: Final = frozenset({"nofollow", "none"})
_MOST: Final = 500  # references of either kind that are looked at, of one page
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


class References(NamedTuple):
    """URLs (path and query) on the page's own host, in order, each once."""

    embedded: list[str]
    links: list[str]  # a user would have to click


def found(
    base: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    limit: int,
    never: re.Pattern[str] | None = None,
    queries: bool = False,
) -> References:
    """Return what the page at URL ``base`` refers to.

    ``limit`` bounds the decompressed bytes that are searched. Links in whose URL ``never`` is found
    are left out; without ``never`` all are.
    """
    text = _text(headers, body, limit)
    kind = _kind(headers)
    embedded, links = _in_html(text) if kind == "html" else ([], [])
    if kind == "css":
        embedded = list(itertools.islice(_in_css(text), _MOST))
    if never is None or _forbids(headers.get("x-robots-tag", "")):
        links = []
    return References(
        [url for url in _resolved(base, host, embedded) if queries or "?" not in url],
        [
            url
            for url in _resolved(base, host, links)
            # A parameter of a path (;jsessionid=) is a query by another name.
            if never and (queries or not {"?", ";"} & set(url)) and not _matches(never, url)
        ],
    )


def _matches(never: re.Pattern[str], url: str) -> bool:
    return never.search(urllib.parse.unquote(url)) is not None


def _resolved(base: str, host: str, references: Iterable[str]) -> Iterator[str]:
    urls: dict[str, None] = {}
    for reference in itertools.islice(references, _MOST):
        url = _resolve(base, host, reference)
        if url is not None:
            urls[url] = None
    return iter(urls)


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


def _in_html(text: str) -> tuple[list[str], list[str]]:
    """References to what is embedded, and links."""
    embedded: list[str] = []
    links: list[str] = []
    follow = True
    for tag, attributes in _tags(text):
        if min(len(embedded), len(links)) >= _MOST:
            break
        rels = set(attributes.get("rel", "").lower().split())
        if tag == "base" and "href" in attributes:  # what references mean is the page's own idea
            return embedded, links if follow else []
        if tag == "meta" and attributes.get("name", "").strip().lower() == "robots":
            follow = follow and not _forbids(attributes.get("content", ""))
        elif tag in {"a", "area", "link"} and "href" in attributes:
            if tag == "link" and _EMBEDDED_RELS & rels:
                embedded.append(attributes["href"])
            elif _may_follow(attributes, rels) and (tag != "link" or _LINKED_RELS & rels):
                links.append(attributes["href"])
        else:
            embedded.extend(_sources(tag, attributes))
    for style in _styles(text):
        embedded.extend(_in_css(style))
    return embedded, links if follow else []


def _may_follow(attributes: Mapping[str, str], rels: set[str]) -> bool:
    return not (_UNTRUSTED_RELS & rels or _NO_PAGE & attributes.keys())


def _forbids(robots: str) -> bool:
    """Whether the page asks robots not to follow its links."""
    return bool(_NOT_FOLLOWED & set(re.split(r"[\s,:]+", robots.lower())))


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Name and attributes of each tag of interest that is not in a comment or in a script."""
    at = 0
    while match := _TAG.search(text, at):
        at = match.end()
        if match[1] is None:
            at = text.find("-->", match.start() + 2)  # <!--> is a whole comment
            if at < 0:
                return
            continue
        tag = match[1].lower()
        yield tag, _attributes(match[2])
        if tag == "script":
            end = _SCRIPT_ENDS.search(text, at)
            if end is None:
                return
            at = end.end()


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

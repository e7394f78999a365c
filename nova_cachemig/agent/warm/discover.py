"""Finds the URLs that HTML and CSS embed, and those that HTML links to, on the same host. Pure.

Resources that a browser fetches automatically (images, scripts, style sheets, fonts) are safe to
fetch. Links are not: on a site that violates HTTP (RFC 9110, section 9.2.1), a GET may cause an
action that no user wanted. Therefore these links are left out:

* those that the page marks as not to follow, and all links of a page that forbids it;
* those that do not lead to a plain page, and those that a pattern recognizes as an action;
* those in comments and scripts.

References of either kind that may act or have a secret are left out, see
:mod:`nova_cachemig.popularity.askable`. A site can embed an image to run a job (``cron.php``).

Regular expressions instead of a parser: they accept any malformed HTML, and their cost is linear. A
wrong match costs one request for a missing page.
"""

from __future__ import annotations

import html
import itertools
import re
import urllib.parse
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from nova_cachemig.popularity.askable import MIN_CLIENTS, NO_RULES, Origin, Rules, Verdict, judge

_TAG: Final = re.compile(
    r"<(?:!--|(img|script|link|source|input|video|body|area|a|base|meta)\b([^<>]{0,4000}))",
    re.IGNORECASE,
)
_SCRIPT_END: Final = re.compile("</script", re.IGNORECASE)
# Matches every attribute, so that none is found within the value of another. Linear, because only
# the last quote of a tag can be unmatched.
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
# Pages that users visit next, or that the page announces. Users do not click on canonical or
# alternate ones.
_LINKED_RELS: Final = frozenset({"next", "prev", "prefetch", "prerender"})
# Links that the site does not vouch for.
_UNTRUSTED_RELS: Final = frozenset({"nofollow", "ugc", "sponsored"})
# A file to download, or (by conventions of frameworks) a request with another method.
_NOT_A_PAGE: Final = frozenset({"download", "data-method", "data-turbo-method"})
_NO_FOLLOW: Final = frozenset({"nofollow", "none"})
_MAX_REFERENCES: Final = 500  # of either kind, of one page
_SENDABLE: Final = re.compile(r"/[\x21-\x7e]{0,2047}")


def body_limit(headers: Mapping[str, str], limit: int) -> int:
    """Return the bytes of the body to keep: ``limit`` for HTML and CSS, otherwise 0."""
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
    links: list[str]  # a user would have to click on them


def find_references(
    base: str,
    host: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    limit: int,
    excluded: re.Pattern[str] | None = None,
    queries: bool = False,
    rules: Rules = NO_RULES,
) -> References:
    """Return the references of the page at URL ``base``.

    ``limit`` bounds the decompressed bytes that are searched. ``excluded`` matches the URLs of
    links to leave out; None leaves out all links. ``queries``: include embedded URLs with any
    query, not only those of static files. ``rules`` are the service's own.
    """
    text = decoded(headers, body, limit)
    kind = _kind(headers)
    embedded, links = _in_html(text) if kind == "html" else ([], [])
    if kind == "css":
        embedded = list(itertools.islice(_in_css(text), _MAX_REFERENCES))
    if excluded is None or _forbids(headers.get("x-robots-tag", "")):
        links = []
    key_url = rules.policy.key_url
    clients = MIN_CLIENTS if queries else 0  # any query counts as one that users have sent
    return References(
        [
            url
            for url in dict.fromkeys(map(key_url, _resolved(base, host, embedded)))
            if judge(url, Origin.EMBEDDED, clients=clients, rules=rules) is Verdict.ASK
        ],
        [
            url
            for url in dict.fromkeys(map(key_url, _resolved(base, host, links)))
            if excluded
            and not _matches(excluded, url)
            and judge(url, Origin.LINKED, rules=rules) is Verdict.ASK
        ],
    )


def _matches(pattern: re.Pattern[str], url: str) -> bool:
    return pattern.search(urllib.parse.unquote(url)) is not None


def _resolved(base: str, host: str, references: Iterable[str]) -> Iterator[str]:
    urls: dict[str, None] = {}
    for reference in itertools.islice(references, _MAX_REFERENCES):
        url = _resolve(base, host, reference)
        if url is not None:
            urls[url] = None
    return iter(urls)


def decoded(headers: Mapping[str, str], body: bytes, limit: int) -> str:
    """Return the first ``limit`` bytes of a body as text; "" if it is compressed otherwise."""
    if headers.get("content-encoding", "").strip().lower() == "gzip":
        try:  # up to the limit: the complete body may be huge
            body = zlib.decompressobj(wbits=31).decompress(body, limit)
        except zlib.error:
            return ""
    return body[:limit].decode("utf-8", "replace")


def _in_css(text: str) -> Iterator[str]:
    for match in _CSS.finditer(text):
        yield next(group for group in match.groups() if group is not None)


def _in_html(text: str) -> tuple[list[str], list[str]]:
    """Return the embedded references, and the links."""
    embedded: list[str] = []
    links: list[str] = []
    follow = True
    for tag, attributes in _tags(text):
        if min(len(embedded), len(links)) >= _MAX_REFERENCES:
            break
        rels = set(attributes.get("rel", "").lower().split())
        if tag == "base" and "href" in attributes:  # other references depend on it
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
    return not (_UNTRUSTED_RELS & rels or _NOT_A_PAGE & attributes.keys())


def _forbids(robots: str) -> bool:
    """Return whether a robots directive forbids to follow links."""
    return bool(_NO_FOLLOW & set(re.split(r"[\s,:]+", robots.lower())))


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the name and attributes of each relevant tag outside of comments and scripts."""
    at = 0
    while match := _TAG.search(text, at):
        at = match.end()
        if match[1] is None:
            at = text.find("-->", match.start() + 2)  # <!--> is a complete comment
            if at < 0:
                return
            continue
        tag = match[1].lower()
        yield tag, _attributes(match[2])
        if tag == "script":
            end = _SCRIPT_END.search(text, at)
            if end is None:
                return
            at = end.end()


def _styles(text: str) -> Iterator[str]:
    lower, end = text.lower(), 0  # lower() may change the length: then a style is missed
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
    """Return path and query, or None for another host or a URL that cannot be sent."""
    try:
        target = urllib.parse.urlsplit(
            urllib.parse.urljoin(f"http://{host}{base}", reference.strip())
        )
        if target.scheme not in {"http", "https"} or target.netloc.lower() != host.lower():
            return None
    except ValueError:
        return None
    url = target.path or "/"
    if target.query:
        url += f"?{target.query}"
    return url if _SENDABLE.fullmatch(url) else None

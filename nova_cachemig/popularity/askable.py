"""Decides which URLs the agent may remember and fetch on its own: those that cannot act."""

from __future__ import annotations

import dataclasses
import enum
import re
from typing import Final

from nova_cachemig.model import secret, urltext
from nova_cachemig.model.policy import NO_POLICY, Policy
from nova_cachemig.popularity import acting

MIN_CLIENTS: Final = 2
"""Clients that must have requested a URL with a query before the agent does."""

# A browser fetches these for a page on its own; the names of the first kind often have a hash.
_CODE: Final = urltext.word_set("css js mjs map woff woff2 ttf otf eot wasm")
_IMAGES: Final = urltext.word_set("png jpg jpeg gif webp avif svg ico bmp cur webmanifest json vtt")
_PROGRAM: Final = re.compile(r"\.(?:php\d?|cgi|pl|py|aspx?|ashx|jspx?|do|action)/", re.IGNORECASE)
# Programs that join style sheets or scripts: MediaWiki, WordPress, DokuWiki.
_BUNDLERS: Final = urltext.word_set("load.php load-styles.php load-scripts.php css.php js.php")
_VERSIONS: Final = urltext.word_set(
    """_ build cache cachebuster cb h hash itok m mtime r rev revision t timestamp ts tseed v ver
    version"""
)
_VERSION: Final = re.compile(r"[\w.,:-]{0,64}")


class Origin(enum.Enum):
    """Where a URL is from."""

    REQUESTED = enum.auto()  # users have requested it
    EMBEDDED = enum.auto()  # a fetched page embeds it
    LINKED = enum.auto()  # a fetched page links to it


class Verdict(enum.Enum):
    """Whether the agent may fetch a URL, or why not."""

    ASK = "may be fetched"
    ACTS = "may act"
    SECRET = "has a secret"
    QUERY = "has a query that too few clients have sent"
    NEVER = "is excluded by a rule of the service"


@dataclasses.dataclass(frozen=True, slots=True)
class Rules:
    """The additions of a service."""

    policy: Policy = NO_POLICY
    verbs: frozenset[str] = frozenset()  # more words that act, in lower case
    secrets: frozenset[str] = frozenset()  # more names of parameters with secrets, in lower case


NO_RULES: Final = Rules()


def judge(
    url: str, origin: Origin = Origin.REQUESTED, *, clients: int = 0, rules: Rules = NO_RULES
) -> Verdict:
    """Return whether the agent may fetch a path, with or without a query.

    ``clients``: how many clients have requested it, as far as known.
    """
    path = url.partition("?")[0]
    file = _is_file(path, origin)
    bundle = file and _name(path) in _BUNDLERS
    versioned = file and has_version_only(url)
    if _has_secret(path if versioned else url, file, origin, rules):
        return Verdict.SECRET
    if rules.policy.never(url):
        return Verdict.NEVER
    acts = acting.file_acts(path) if file else acting.acts(url, rules.verbs)
    if file and not versioned and not bundle:
        acts = acts or acting.acts(f"/{url[len(path) :]}", rules.verbs)
    if acts and not rules.policy.fetches(url):
        return Verdict.ACTS
    if not has_query(url) or versioned or clients >= MIN_CLIENTS:
        return Verdict.ASK
    return Verdict.ASK if file and origin is Origin.EMBEDDED else Verdict.QUERY


def has_query(url: str) -> bool:
    """Return whether a URL has parameters, in its query or in its path (``;name=value``)."""
    return "?" in url or ";" in url


def has_version_only(url: str) -> bool:
    """Return whether the query of a URL only names the version of a file (``?ver=6.4``)."""
    _, parameters = urltext.split(url)
    return len(parameters) <= 4 and all(
        (name.lower() in _VERSIONS and _VERSION.fullmatch(value))
        or (not value and len(parameters) == 1 and _VERSION.fullmatch(name))
        for name, value in parameters
    )


def _has_secret(url: str, file: bool, origin: Origin, rules: Rules) -> bool:
    """Return whether the URL is a secret; the hash in the name of a file is none.

    Nor is the directory of an embedded file, because the page that embeds it is public.
    """
    if secret.find(url, parameters=rules.secrets, random=not file):
        return True
    if not file or origin is Origin.EMBEDDED:
        return False
    return secret.find(url.partition("?")[0].rpartition("/")[0]) is not None


def _is_file(path: str, origin: Origin) -> bool:
    name = _name(path)
    extension = name.rpartition(".")[2]
    if not (extension in _CODE or (origin is Origin.EMBEDDED and extension in _IMAGES)):
        return name in _BUNDLERS
    return _PROGRAM.search(path) is None  # /delete.php/x.css is a request to the program


def _name(path: str) -> str:
    return path.partition(";")[0].rpartition("/")[2].lower()

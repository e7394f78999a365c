"""The headers that most users of a service send: User-Agent, Accept-Language, Accept. Pure.

The agent asks for a page as most users would, so that the response suits most of them. A value that
only one client has sent can tell who it is, and is not used.
"""

from __future__ import annotations

import enum
import re
from typing import Final

from nova_cachemig.model.access import AccessRecord

_VALUES: Final = 16  # of one header, that are counted
_HALVE_AT: Final = 10_000  # requests after which the counts are halved, so that habits can change
_SENDABLE: Final = re.compile(r"[\x20-\x7e]{1,250}")
_FILE: Final = re.compile(r"\.([a-z0-9]{1,11})\Z", re.IGNORECASE)
_IMAGES: Final = frozenset({"png", "jpg", "jpeg", "gif", "webp", "avif", "svg", "ico", "bmp"})
_OTHERS: Final = frozenset(
    {"css", "js", "mjs", "map", "woff", "woff2", "ttf", "otf", "eot", "wasm", "mp4", "mp3", "pdf"}
)


class Kind(enum.Enum):
    """The kind of content that a request accepts."""

    DOCUMENT = enum.auto()
    IMAGE = enum.auto()
    DATA = enum.auto()
    ANY = enum.auto()


def kind_of(accept: str) -> Kind:
    """Return the kind that a value of Accept asks for."""
    text = accept.lower()
    if "text/html" in text:
        return Kind.DOCUMENT
    if text.startswith("image/"):
        return Kind.IMAGE
    return Kind.DATA if "json" in text.partition(",")[0] else Kind.ANY


def guess_kind(url: str) -> Kind:
    """Return the kind for which browsers ask at a URL, by the name of the file."""
    found = _FILE.search(url.partition("?")[0])
    extension = found[1].lower() if found else ""
    if extension in _IMAGES:
        return Kind.IMAGE
    if extension == "json":
        return Kind.DATA
    return Kind.ANY if extension in _OTHERS else Kind.DOCUMENT


class CommonValue:
    """The value that most requests bear, in bounded memory (Misra and Gries, 1982)."""

    __slots__ = ("_counts", "_last", "_shared", "_total")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._last: dict[str, str] = {}  # value -> the last client with it
        self._shared: set[str] = set()  # values of more than one client
        self._total = 0

    def add(self, value: str, client: str) -> None:
        """Count a request. Several in a row of one client count once."""
        if not _SENDABLE.fullmatch(value) or self._last.get(value) == client:
            return
        if value in self._counts:
            self._counts[value] += 1
            self._shared.add(value)
        elif len(self._counts) < _VALUES:
            self._counts[value] = 1
        else:
            self._decrement()
            return
        self._last[value] = client
        self._total += 1
        if self._total >= _HALVE_AT:
            self._halve()

    def _decrement(self) -> None:
        weakest = min(self._counts, key=self._counts.__getitem__)
        self._counts[weakest] -= 1
        if not self._counts[weakest]:
            self._remove(weakest)

    def _halve(self) -> None:
        self._total //= 2
        for value in list(self._counts):
            self._counts[value] //= 2
            if not self._counts[value]:
                self._remove(value)

    def _remove(self, value: str) -> None:
        del self._counts[value], self._last[value]
        self._shared.discard(value)

    @property
    def best(self) -> str:
        """The commonest value of more than one client; empty if there is none."""
        return max(self._shared, key=self._counts.__getitem__, default="")


class Habits:
    """The common values of one service's users."""

    __slots__ = ("_accepts", "_agents", "_languages")

    def __init__(self) -> None:
        self._agents, self._languages = CommonValue(), CommonValue()
        self._accepts = {kind: CommonValue() for kind in Kind}

    def record(self, record: AccessRecord) -> None:
        """Learn from one request."""
        self._agents.add(record.agent, record.client)
        self._languages.add(record.language, record.client)
        self._accepts[kind_of(record.accept)].add(record.accept, record.client)

    @property
    def agent(self) -> str:
        """The commonest User-Agent; empty if it is unknown."""
        return self._agents.best

    @property
    def language(self) -> str:
        """The commonest Accept-Language; empty if it is unknown."""
        return self._languages.best

    def accept(self, kind: Kind) -> str:
        """Return the commonest Accept of a kind; empty if it is unknown."""
        return self._accepts[kind].best


class KindVote:
    """The kind of most requests for one page (Boyer and Moore, 1981)."""

    __slots__ = ("_lead", "kind")

    def __init__(self, kind: Kind) -> None:
        self.kind, self._lead = kind, 1

    def add(self, kind: Kind, limit: int = 50) -> None:
        """Count one vote. The lead is bounded by ``limit``, so that old votes are forgotten."""
        if kind is self.kind:
            self._lead = min(limit, self._lead + 1)
        elif self._lead:
            self._lead -= 1
        else:
            self.kind, self._lead = kind, 1


NO_HABITS: Final = Habits()

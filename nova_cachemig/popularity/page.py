"""One known page and its statistics."""

from __future__ import annotations

from nova_cachemig.model.access import PageKey
from nova_cachemig.model.terminator import Majority
from nova_cachemig.popularity.habits import KindVote


class Page:
    """A page and its statistics; compared by identity. One :class:`PageTable` owns it.

    ``counts`` has one number for each half-life, and ``expected`` is the number of clients that
    should request the page soon. Both are in units that grow with time (see :mod:`.rates`).
    ``followers`` counts the pages that the same client requested after this one. ``visits`` counts
    the visits of clients in which a page could have followed. ``only_client`` is the only client
    that has requested a URL with a query so far; None: there are several, or it is not counted.
    ``terminator``: the headers of a TLS terminator in most requests; None: there were none.
    ``kind``: the kind of most requests; None: the kind that the URL suggests.
    """

    __slots__ = (
        "counts", "expected", "followers", "kept", "key", "kind", "only_client", "slot",
        "terminator", "visits",
    )  # fmt: skip

    def __init__(self, key: PageKey, experts: int) -> None:
        self.key = key
        self.counts = [0.0] * experts
        self.expected = 0.0
        self.followers: dict[Page, int] = {}
        self.visits = 0
        self.only_client: str | None = None
        self.terminator: Majority | None = None
        self.kind: KindVote | None = None
        self.kept = True  # False after its eviction from the table
        self.slot = -1  # index in the main part of the table; -1: it is in the window

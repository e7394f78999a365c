"""One page that is kept, with what is known of it."""

from __future__ import annotations

from nova_cachemig.model.access import PageKey


class Page:
    """A page and its figures; compared by identity. Owned by one :class:`PageTable`.

    ``counts`` has one figure a half-life and ``expected`` how many clients should ask for it soon;
    both are in units that grow with time (see :mod:`.rates`). ``follows`` counts the pages that
    the same client asked for after this one, ``visits`` the clients' visits that had the chance
    to.
    """

    __slots__ = ("counts", "expected", "follows", "kept", "key", "slot", "visits")

    def __init__(self, key: PageKey, experts: int) -> None:
        self.key = key
        self.counts = [0.0] * experts
        self.expected = 0.0
        self.follows: dict[Page, int] = {}
        self.visits = 0
        self.kept = True  # False once it lost its place in the table
        self.slot = -1  # its place in the main part of the table; -1: in the window

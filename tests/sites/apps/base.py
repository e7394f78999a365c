"""The base class of the applications."""

from __future__ import annotations

import itertools
import random
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from tests.sites.browser import Person
from tests.sites.space import Space
from tests.sites.visitor import Visitor

Role = Callable[[Visitor], Awaitable[None]]
Errand = Callable[[Person], Awaitable[None]]


class Application:
    """``host``: under which it is served. ``rate``: sessions that begin, per second.

    ``missing``: URLs to which the application links and that it does not have.
    """

    name = ""
    title = ""
    host = ""
    preset = ""
    consent: tuple[str, ...] = ("stale", "anonymous")
    rules: tuple[Mapping[str, Any], ...] = ()
    session_cookies: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    rate = 4.0
    pages: tuple[tuple[str, float], ...] = ()

    def __init__(self, packages: Path) -> None:
        """``packages``: where what is from PyPI and npm is installed."""
        self.packages = packages
        self.space: Space
        self._logins = itertools.count()

    def create(self, space: Space) -> None:
        """Install the application into the space and start it; return when it responds."""
        raise NotImplementedError

    def policy(self, mode: str) -> dict[str, Any]:
        """Return the policy of the service."""
        policy: dict[str, Any] = {"presets": [self.preset]}
        if mode == "consent":
            policy["consent"] = list(self.consent)
            if self.rules:
                policy["rules"] = [dict(rule) for rule in self.rules]
        return policy

    def roles(self) -> list[tuple[Role, float]]:
        """Return what a visitor may do in his session, with its share."""
        raise NotImplementedError

    def errands(self) -> list[Errand]:
        """Return what each user of the browser does, again and again."""
        raise NotImplementedError

    def owners(self, text: str) -> set[str]:
        """Return the users for whom this page was made; none: for everybody."""
        raise NotImplementedError

    def count(self, marker: str) -> int:
        """Return how often a write was applied."""
        raise NotImplementedError

    def headers(self, kind: str, method: str) -> dict[str, str]:
        """Return further fields of a request."""
        return {"Upgrade-Insecure-Requests": "1"} if kind == "page" else {}

    def next_member(self) -> str:
        """Return a member who has no session: two logins at a time can undo each other."""
        return f"member-{next(self._logins)}"

    def is_session(self, cookie: str) -> bool:
        """Return whether this cookie belongs to one user."""
        return any(fnmatchcase(cookie, one) for one in self.session_cookies)

    def some_page(self, source: random.Random) -> str:
        """Return one of the pages, the popular ones more often."""
        paths, weights = zip(*self.pages, strict=True)
        return str(source.choices(paths, weights)[0])

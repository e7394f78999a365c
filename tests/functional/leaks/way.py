"""One way in which an application gives two users different pages of one URL."""

from __future__ import annotations

import dataclasses
import hashlib
import re

Fields = tuple[tuple[str, str], ...]

TOKEN = re.compile(r"secret-\w+|127\.0\.0\.\d+")
"""Belongs to one user: the guest repeats each token of a request in the response."""

PAGE = "@"
"""Stands for the path of the page, in a target."""


@dataclasses.dataclass(frozen=True)
class User:
    """The requests of a user: the target, the address, all fields but Host."""

    fields: Fields = ()
    target: str = PAGE
    address: str = "127.0.0.2"
    host: str = "shop.example"
    method: str = "GET"

    def request(self, page: str) -> str:
        """Return the head of a request."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.fields)
        target = self.target.replace(PAGE, page)
        head = f"{self.method} {target} HTTP/1.1\r\nHost: {self.host}\r\n"
        return f"{head}{lines}Connection: close\r\n\r\n"

    def own(self) -> set[str]:
        """Return the tokens that this user may see."""
        return {self.address, *TOKEN.findall(self.request(""))}


@dataclasses.dataclass(frozen=True)
class Way:
    """Two users, and the fields of each response; ``unique``: a new token in each response."""

    name: str
    first: User
    second: User
    reply: Fields = ()
    unique: bool = False

    @property
    def page(self) -> str:
        """The path of this way."""
        return "/" + hashlib.sha1(self.name.encode(), usedforsecurity=False).hexdigest()[:12]


LIFETIMES: dict[str, Fields] = {
    "without a lifetime": (),
    "max-age": (("Cache-Control", "max-age=600"),),
    "public": (("Cache-Control", "public, max-age=600"),),
}
"""The fields by which an application says, or does not say, how long a page is fresh."""


def by_field(name: str, value: str = "secret-{}", *, also_none: bool = True) -> list[Way]:
    """Return the ways of a field of the request: another value, and none, behind one value."""
    first, second = (User(((name, value.format(who)),)) for who in "ab")
    ways = [Way(f"{name}, {key}", first, second, reply) for key, reply in LIFETIMES.items()]
    if also_none:
        reply = LIFETIMES["max-age"]
        ways.append(Way(f"{name}, then none", first, User(), reply))
    return ways

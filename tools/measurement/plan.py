"""The plan of the load: each request and its instant, from a seed, independent of the server."""

from __future__ import annotations

import dataclasses
import hashlib
import random
from collections.abc import Iterator
from typing import Final

from tools.measurement.reads import Zipf

# Forms and APIs mostly send PUT. After a DELETE, reads of the item get a 404.
WRITE_MIX: Final = (("PUT", 0.6), ("POST", 0.3), ("DELETE", 0.1))


@dataclasses.dataclass(frozen=True, slots=True)
class Ask:
    """One planned request; ``at`` is in seconds since the start of the run."""

    at: float
    method: str
    path: str
    item: bool = False  # the path of an item, which is written to as well

    @property
    def is_read(self) -> bool:
        """Whether it reads a page or an item."""
        return self.method == "GET"


@dataclasses.dataclass(frozen=True, slots=True)
class Mix:
    """Shares of the requests (0 … 1) and the items that are written and read back."""

    writes: float = 0.2
    item_reads: float = 0.1
    items: int = 100
    item: str = "/item/{k}"
    zipf: float = 1.0


def arrivals(rate: float, law: str, rng: random.Random, at: float = 0.0) -> Iterator[float]:
    """Endless instants (s) after ``at``, ``rate`` per second: ``poisson`` or ``uniform``."""
    while True:
        at += rng.expovariate(rate) if law == "poisson" else 1 / rate
        yield at


def asks(
    times: Iterator[float], pages: Iterator[str], mix: Mix, rng: random.Random
) -> Iterator[Ask]:
    """Combine instants, pages and writes into requests."""
    law = Zipf(mix.items, mix.zipf, rng)
    methods = [method for method, _ in WRITE_MIX]
    weights = [weight for _, weight in WRITE_MIX]
    for at in times:
        chance = rng.random()
        if chance < mix.writes:
            method = rng.choices(methods, weights)[0]
            yield Ask(at, method, mix.item.replace("{k}", str(law.draw())), True)
        elif chance < mix.writes + mix.item_reads:
            yield Ask(at, "GET", mix.item.replace("{k}", str(law.draw())), True)
        else:
            yield Ask(at, "GET", next(pages))


def body(request: str, size: int) -> bytes:
    """The body of a write: its request id, repeated, so that all bodies differ."""
    unit = f"{request} {hashlib.sha256(request.encode()).hexdigest()}\n".encode()
    return (unit * (size // len(unit) + 1))[:size]

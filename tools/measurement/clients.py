"""The virtual users: who asks next."""

from __future__ import annotations

import dataclasses
import random
from typing import Final

from tools.measurement.exchange import Exchange

_TRIES: Final = 20  # to find a client that waits for no write, before one more comes


@dataclasses.dataclass(slots=True)
class Client:
    """A virtual user: an address of its own if there are enough, connections of its own."""

    index: int
    source: str | None
    writes_pending: int = 0
    idle: list[Exchange] = dataclasses.field(default_factory=list)


class Clients:
    """All users of a run; ``writers`` of them only write and the others only read (0: all do both).

    A person who has sent a form does not click on until it is answered; others come instead, so
    the rate stays as planned. ``impatient`` is the share of requests of which this is not true.
    """

    def __init__(
        self,
        count: int,
        writers: int,
        impatient: float,
        sources: list[str | None],
        rng: random.Random,
    ) -> None:
        self._impatient = impatient
        self._sources = sources
        self._rng = rng
        self.everybody = [Client(n, sources[n % len(sources)]) for n in range(count)]
        self._writers = self.everybody[:writers] if writers else self.everybody[:]
        self._readers = self.everybody[writers:] if writers else self._writers

    def choose(self, *, read: bool) -> Client:
        """Any of those who ask such; one more comes if nearly all wait for a write."""
        among = self._readers if read else self._writers
        if self._rng.random() < self._impatient:
            return self._rng.choice(among)
        for _ in range(_TRIES):
            client = self._rng.choice(among)
            if not client.writes_pending:
                return client
        return self._come(among)

    def _come(self, among: list[Client]) -> Client:
        """With an address of its own or, if none is left, of one who asks such, too."""
        index = len(self.everybody)
        free = index < len(self._sources)
        source = self._sources[index] if free else self._rng.choice(among).source
        client = Client(index, source)
        self.everybody.append(client)
        among.append(client)
        return client

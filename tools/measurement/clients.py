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
        self.everybody: list[Client] = []
        made = [self._come() for _ in range(count)]
        self._writers = made[:writers] if writers else made
        self._readers = made[writers:] if writers else made

    def choose(self, *, read: bool) -> Client:
        """Any of those who ask such; one more comes if nearly all wait for a write."""
        among = self._readers if read else self._writers
        if self._rng.random() < self._impatient:
            return self._rng.choice(among)
        for _ in range(_TRIES):
            client = self._rng.choice(among)
            if not client.writes_pending:
                return client
        among.append(self._come())
        return among[-1]

    def _come(self) -> Client:
        index = len(self.everybody)
        self.everybody.append(Client(index, self._sources[index % len(self._sources)]))
        return self.everybody[-1]

"""The virtual users, and the choice of the next one to send a request."""

from __future__ import annotations

import dataclasses
import random
from typing import Final

from tools.measurement.exchange import Exchange

_TRIES: Final = 20  # to find a client without a pending write, before a new one is added


@dataclasses.dataclass(slots=True)
class Client:
    """A virtual user, with its own connections and, if there are enough, its own address."""

    index: int
    source: str | None
    writes_pending: int = 0
    idle: list[Exchange] = dataclasses.field(default_factory=list)


class Clients:
    """All users of a run; ``writers`` of them only write and the others only read (0: all do both).

    A user who has submitted a form waits for the response. Other users take over, so the rate stays
    as planned. ``impatient`` is the share of requests that ignore this rule.
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
        """A client for a read or a write; a new one if nearly all have a pending write."""
        among = self._readers if read else self._writers
        if self._rng.random() < self._impatient:
            return self._rng.choice(among)
        for _ in range(_TRIES):
            client = self._rng.choice(among)
            if not client.writes_pending:
                return client
        return self._add(among)

    def _add(self, among: list[Client]) -> Client:
        """A new client, with its own address or, if none is left, that of another one."""
        index = len(self.everybody)
        free = index < len(self._sources)
        source = self._sources[index] if free else self._rng.choice(among).source
        client = Client(index, source)
        self.everybody.append(client)
        among.append(client)
        return client

"""Proves that a stored page is alike for strangers, and has the engine use it for users.

The engine stores the first response under a number that is not used twice, where no user finds it.
Then it passes the requests of further strangers to the guest, and stores nothing. If the proof
succeeds, one command names the number: from then on users find the page. So a page that is fetched
again is used until its successor is proved.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from nova_cachemig.agent.warm import strangers
from nova_cachemig.agent.warm.proof import Proof, Trial, Verdict, sample
from nova_cachemig.agent.warm.response import FetchedResponse, FetchError
from nova_cachemig.agent.warm.strangers import Strangers

_MAX_NONCE: Final = (1 << 28) - 1
_TEMPORARY: Final = frozenset({408, 425, 429})

Send = Callable[[Mapping[str, str]], Awaitable[FetchedResponse]]
"""Headers in addition to those of every request for the page -> the response."""

Pace = Callable[[], Awaitable[None]]
"""Returns when the guest may get the next request."""

Record = Callable[[FetchedResponse], None]
"""Takes the response to a further request, for the rate."""


class Prover:
    """The fetch and the proof of one page."""

    def __init__(self, people: Strangers, rng: random.Random) -> None:
        """``people``: the strangers who differ."""
        self._people = people
        self._nonce = rng.randint(1, _MAX_NONCE)

    def first_headers(self) -> dict[str, str]:
        """Return the headers of the request whose response is stored."""
        return {**strangers.headers(self._people[0]), "X-Cachemig-Nonce": str(self._nonce)}

    async def prove(
        self, first: FetchedResponse, send: Send, pace: Pace, record: Record
    ) -> Verdict:
        """Return whether users can use the page. Raises FetchError if the guest does not say."""
        trial = Trial(*self._people, sample(first.status, first.headers, first.digest))
        while (stranger := trial.next()) is not None:
            await pace()
            response = await send({**strangers.headers(stranger), "X-Cachemig-Try": "1"})
            if response.refused:
                raise FetchError("the engine refuses to warm this service now", unreachable=True)
            record(response)
            if response.status >= 500 or response.status in _TEMPORARY:
                raise FetchError(f"status {response.status} at a proof")
            trial.add(sample(response.status, response.headers, response.digest))
        assert trial.proof is not None
        if trial.proof.flags:
            await self._commit(trial.proof, send)
        return trial.proof.verdict

    async def _commit(self, proof: Proof, send: Send) -> None:
        response = await send({"X-Cachemig-Commit": str(self._nonce * 8 + proof.flags)})
        if not response.committed:
            raise FetchError("the engine does not take the proof", unreachable=response.refused)

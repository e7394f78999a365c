"""A page that the warmer has fetched goes only to those for whom it was proved."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nova_cachemig.agent.engine.warming import warm_headers
from nova_cachemig.model.phase import EdgeState
from tests.functional.engine.rig import SERVICE
from tests.functional.engine.servers import Response, fetch
from tests.functional.leaks import proofs
from tests.functional.leaks.proofs import Proof, Step
from tests.functional.leaks.rig import PATIENCE, SILENCE, LeakCase, Page
from tests.functional.leaks.way import TOKEN

_PROTOCOL = {"fetch": "X-Cachemig-Nonce", "commit": "X-Cachemig-Commit", "try": "X-Cachemig-Try"}


class ProofTest(LeakCase):
    async def judge_proofs(self, corpus: Sequence[Proof]) -> None:
        """Let the warmer prove all pages, and the users ask for them in the silence."""
        self.guest.ways = {proof.way.page: proof.way for proof in corpus}
        await self.flip(EdgeState.ARMED)
        given = {proof: await self.perform(proof, proof.before) for proof in corpus}
        if any(given.values()):
            await self.flip(EdgeState.PASS)
            await self.flip(EdgeState.ARMED)
        for proof in corpus:
            given[proof] += await self.perform(proof, proof.steps)
        self.guest.running.clear()
        await self.flip(EdgeState.SHIELDED)
        asking = dict(self.asking([proof.way for proof in corpus], "second"))
        all_found = all(proof.found is not None for proof in corpus)
        await asyncio.wait(asking.values(), timeout=PATIENCE if all_found else SILENCE)
        self.guest.running.set()
        await self.flip(EdgeState.REPLAY)
        found = {
            (proof.way.name, "shielded"): problem
            for proof in corpus
            if (problem := _problem(proof, await asking[proof.way], given[proof]))
        }
        self.report([proof.way for proof in corpus], found, ("shielded",))

    async def perform(self, proof: Proof, steps: Sequence[Step]) -> list[set[str]]:
        """Perform the steps of one page; return what each fetch was given."""
        given = []
        for kind, number in steps:
            if kind == "write":
                await self.get(proof.way.page, method="PUT", body=b"x")
                continue
            response = await self.ask_as_the_warmer(proof, kind, number)
            if kind != "commit":
                given.append(set(TOKEN.findall(response.body.decode())))
        return given

    async def ask_as_the_warmer(self, proof: Proof, kind: str, number: int) -> Response:
        """Send one request through the cache's socket."""
        fields = {} if kind == "commit" else dict(proof.way.first.fields)
        protocol = {_PROTOCOL[kind]: "1" if kind == "try" else str(number)}
        headers = {**warm_headers(SERVICE, "shop.example"), **fields, **protocol}
        return await fetch(self.engine.cache_socket, proof.way.page, headers=headers)

    async def test_who_is_alike_gets_the_page(self) -> None:
        await self.judge_proofs(list(proofs.alike()))

    async def test_another_dimension(self) -> None:
        await self.judge_proofs(list(proofs.dimensions()))

    async def test_logins(self) -> None:
        await self.judge_proofs(list(proofs.logins()))

    async def test_without_a_valid_proof(self) -> None:
        await self.judge_proofs(list(proofs.unproved()))

    async def test_an_earlier_handover(self) -> None:
        await self.judge_proofs(list(proofs.earlier()))


def _problem(proof: Proof, page: Page, given: Sequence[set[str]]) -> str:
    """Return the fault of a user's page, given those of the warmer; or nothing."""
    may = given[proof.found] if proof.found is not None else set()
    if foreign := page.tokens & set().union(*given) - may - proof.way.second.own():
        return f"shows {', '.join(sorted(foreign))}"
    if proof.found is not None and not may & page.tokens:
        return "not found"
    return "" if page.status in {200, 206} else f"status {page.status}"

"""The twin: a family of cases sent to the guest, and through the edge in each of its phases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from fnmatch import fnmatchcase

from nova_cachemig.model.phase import EdgeState
from tests.functional.armed.rig import ArmedCase
from tests.functional.twin import client
from tests.functional.twin.case import Case
from tests.functional.twin.facts import (
    BY_THE_EDGE,
    IN_A_HANDOVER,
    Facts,
    facts,
    unexplained,
)
from tests.functional.twin.guest import RecordingGuest
from tests.functional.twin.known import KNOWN

_SILENCE = 0.5  # s, in which hits are answered and all else is held

Seen = dict[str, Facts]
"""The facts of each case, by its name."""


class TwinCase(ArmedCase):
    """``compare`` fails with the differences that no RFC asks for."""

    options = {"sample_from": 0}  # without a handover, nearly all take the short path

    guest: RecordingGuest

    def new_guest(self) -> RecordingGuest:
        return RecordingGuest()

    async def compare(self, cases: Sequence[Case]) -> None:
        """Send all cases in each phase, and judge them."""
        direct = await self.direct([one for one in cases if not one.alone])
        idle = await self.idle(cases)
        armed = await self.armed(cases)
        shielded = await self.shielded(cases)
        found = {}
        for one in cases:
            name, base = one.name, idle[one.name]
            if not one.alone:
                found[name, "idle"] = unexplained(direct[name], base, BY_THE_EDGE)
            found[name, "armed"] = unexplained(base, armed[name], IN_A_HANDOVER)
            found[name, "shielded"] = unexplained(base, shielded[name], IN_A_HANDOVER)
        self.judge([one.name for one in cases], found)

    def judge(self, names: Sequence[str], found: dict[tuple[str, str], list[str]]) -> None:
        """Fail for each difference that is not known, and for each known one that is gone."""
        gone = {
            known
            for known in KNOWN
            if known.always and any(fnmatchcase(name, known.cases) for name in names)
        }
        report = []
        for (name, phase), lines in found.items():
            for line in lines:
                covering = [known for known in KNOWN if known.covers(name, phase, line)]
                gone.difference_update(covering)
                if not covering:
                    report.append(f"{name}, {phase}:\n    {line}")
        report += [f"no longer seen, so remove it from known.py: {known}" for known in gone]
        if report:
            self.fail("unexplained differences\n" + "\n".join(report))

    async def direct(self, cases: Sequence[Case]) -> Seen:
        """Ask the guest itself."""
        return await self._ask((self.guest.address, self.guest.port), cases)

    async def idle(self, cases: Sequence[Case]) -> Seen:
        """Ask the edge without a handover."""
        await self.flip(EdgeState.PASS)
        return await self._ask(self.edge, cases)

    async def armed(self, cases: Sequence[Case]) -> Seen:
        """Ask the edge while the guest still runs."""
        await self.flip(EdgeState.ARMED)
        return await self._ask(self.edge, cases)

    async def shielded(self, cases: Sequence[Case]) -> Seen:
        """Ask the edge while the guest is silent for a moment."""
        self.guest.running.clear()
        await self.shield()
        asking = asyncio.create_task(self._ask(self.edge, cases))
        await asyncio.sleep(_SILENCE)
        self.guest.running.set()
        await self.back()
        return await asking

    async def _ask(self, where: tuple[str, int], cases: Sequence[Case]) -> Seen:
        self.guest.answer(cases)
        responses = await asyncio.gather(*(client.run(where, one) for one in cases))
        return {
            one.name: facts(self.guest.got[one.mark], back)
            for one, back in zip(cases, responses, strict=True)
        }

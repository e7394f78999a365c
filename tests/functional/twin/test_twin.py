"""No difference that no RFC asks for, between the guest and each phase of the edge."""

from __future__ import annotations

from tests.functional.twin import bodies, fields, responses, targets
from tests.functional.twin.rig import TwinCase


class TwinTest(TwinCase):
    async def test_targets(self) -> None:
        await self.compare(list(targets.cases()))

    async def test_fields(self) -> None:
        await self.compare(list(fields.cases()))

    async def test_methods(self) -> None:
        await self.compare(list(bodies.methods()))

    async def test_bodies(self) -> None:
        await self.compare(list(bodies.bodies()))

    async def test_connections(self) -> None:
        await self.compare(list(bodies.connections()))

    async def test_statuses(self) -> None:
        await self.compare(list(responses.statuses()))

    async def test_fields_of_responses(self) -> None:
        await self.compare(list(responses.fields()))

    async def test_framings(self) -> None:
        await self.compare(list(responses.framings()))

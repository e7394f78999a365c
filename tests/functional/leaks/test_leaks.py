"""No user sees what is another's, whatever tells an application who asks."""

from __future__ import annotations

from nova_cachemig.agent.services import presets
from nova_cachemig.model.policy import Policy
from tests.functional.leaks import ways
from tests.functional.leaks.rig import LeakCase


class DefaultRulesTest(LeakCase):
    """With the rules that apply to every service."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        policy = Policy(inherited=presets.load()["default"])
        await self.engine.apply([self.route(self.a_service(policy=policy))])

    async def test_cookies(self) -> None:
        await self.judge(list(ways.cookies()))


class LeakTest(LeakCase):
    async def test_logins(self) -> None:
        await self.judge(list(ways.logins()))

    async def test_dimensions(self) -> None:
        await self.judge(list(ways.dimensions()))

    async def test_cookies(self) -> None:
        await self.judge(list(ways.cookies()))

    async def test_responses(self) -> None:
        await self.judge(list(ways.responses()))

    async def test_addresses(self) -> None:
        await self.judge(list(ways.addresses()))

    async def test_partial_requests(self) -> None:
        await self.judge(list(ways.partial()))

    async def test_waiting_requests(self) -> None:
        await self.judge_waiting(list(ways.waiting()))

    async def test_shared_pages(self) -> None:
        await self.judge_found(list(ways.shared()))

"""The order in which Nova's pages are asked for."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.ports import InstanceAddresses
from nova_cachemig.agent.services.pages import InstancePages
from tests.unit.agent.services.test_lookup import Nova, Own


class PagesTest(unittest.IsolatedAsyncioTestCase):
    def setUp(self) -> None:
        self.nova, self.now = Nova(), 0.0
        self.nova.pages = [{name: Own("10.0.0.1")} for name in "abcd"]
        self.pages = InstancePages(self.nova, lambda: self.now)

    async def find(self, wanted: str, end: float = 5.0) -> str:
        found: dict[str, InstanceAddresses] = dict(await self.pages.find(wanted, end))
        return "".join(sorted(found))

    async def test_a_search_ends_with_the_last_wanted_instance_and_goes_on_there(self) -> None:
        self.assertEqual("b", await self.find("b"))
        self.assertEqual("ac", await self.find("ac"))
        self.assertEqual([None, "1", "2", "3", None], self.nova.asked_pages)

    async def test_a_search_in_vain_sees_every_page(self) -> None:
        self.assertEqual("b", await self.find("b"))
        self.assertEqual("bd", await self.find("bdx"))
        self.assertEqual({None, "1", "2", "3"}, set(self.nova.asked_pages[2:]))

    async def test_a_search_ends_in_time(self) -> None:
        self.now = 5.0
        self.assertEqual("", await self.find("a"))
        self.assertEqual([], self.nova.asked_pages)

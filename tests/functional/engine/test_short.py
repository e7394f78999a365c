"""The short path of reads: without a handover, and without a line in the log."""

from __future__ import annotations

import asyncio
import contextlib

from nova_cachemig.model.access import AccessRecord
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import EngineCase
from tests.functional.engine.servers import exchange

MANY = 200


class ShortCase(EngineCase):
    options = {"sample_from": 0}

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.records: list[AccessRecord] = []
        reading = asyncio.create_task(self._read())
        self.addCleanup(reading.cancel)

    async def _read(self) -> None:
        async for record in self.engine.accesses():
            self.records.append(record)

    async def logged(self) -> list[str]:
        """Return the URLs in the log, once it has the last request."""
        await self.get("/last", method="POST", body=b"x", source="127.0.0.2")
        async with asyncio.timeout(5):
            while not any(record.url == "/last" for record in self.records):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return [record.url for record in self.records if record.url != "/last"]

    async def many(self, url: str = "/page", **headers: str) -> None:
        reader, writer = await asyncio.open_connection(*self.edge)
        with contextlib.closing(writer):
            for _ in range(MANY):
                response = await exchange(reader, writer, url, headers=headers)
                self.assertEqual(200, response.status)


class Short(ShortCase):
    async def test_a_sample_is_logged(self) -> None:
        await self.many()
        sample = len(await self.logged())
        self.assertLess(0, sample)
        self.assertLess(sample, MANY // 4)

    async def test_each_guest_gets_what_it_would_get_otherwise(self) -> None:
        await self.many(**{"X-Forwarded-For": "192.0.2.1"})
        got = {
            tuple((k, v) for k, v in sorted(one.headers.items()) if k != "x-request-id")
            for one in self.guest.seen
            if one.url == "/page"
        }
        self.assertEqual(1, len(got), got)
        self.assertIn("127.0.0.1", dict(got.pop())["x-forwarded-for"])

    async def test_what_is_unusual_is_logged_and_treated_as_ever(self) -> None:
        await self.many("/page", Authorization="NTLM abc")
        self.assertEqual(MANY, len(await self.logged()))

    async def test_hosts_that_no_service_has(self) -> None:
        other = self.a_service("other", hosts=("shop.example",))
        await self.engine.apply([Route(other, self.guest.target)])
        port = self.edge[1]
        statuses = {}
        for host in ("shop.example", f"SHOP.example:{port}", "shop.example.", "x.example", "a b"):
            response = await self.get("/page", headers={"Host": host})
            statuses[host] = response.status
        self.assertEqual([200, 200, 200, 421, 400], list(statuses.values()), statuses)

    async def test_a_handover_takes_all_requests(self) -> None:
        await self.many()
        await self.flip(EdgeState.ARMED)
        await self.many("/armed")
        self.assertEqual(MANY, (await self.logged()).count("/armed"))
        await self.flip(EdgeState.SHIELDED)
        self.assertEqual(200, (await self.get("/armed", timeout=2.0)).status)
        await self.flip(EdgeState.PASS)

    async def test_an_unknown_address_is_503(self) -> None:
        await self.engine.apply([Route(self.service, None)])
        for _ in range(20):
            self.assertEqual(503, (await self.get("/page")).status)


class BelowTheRate(ShortCase):
    options = {"sample_from": 1000}

    async def test_all_is_logged(self) -> None:
        await self.many()
        self.assertEqual(MANY, len(await self.logged()))

"""A guest whose users log in on a connection, with NTLM: other clients must not use it."""

from __future__ import annotations

import asyncio

from nova_cachemig.model.service import Route, Target
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.servers import Response, exchange
from tests.functional.replay.raw import Connection, RawGuest


class LoginTest(ArmedCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.users: dict[asyncio.StreamWriter, str] = {}
        guest = RawGuest(self.respond)
        await guest.start()
        self.addAsyncCleanup(guest.stop)
        route = Route(self.service, Target("127.0.0.1", guest.port))
        await self.engine.apply([route])
        self.performer._routes = (route,)

    async def respond(self, request: Connection) -> bool:
        """Ask twice, then respond with the connection's user."""
        await request.body()
        lines = request.head.decode().split("\r\n")
        login = [line.split()[2] for line in lines if line.lower().startswith("authorization:")]
        if login and login != ["hello"]:
            self.users[request.writer] = login[0]
        user = self.users.get(request.writer)
        challenge = "NTLM challenge" if login else "NTLM"
        text = f"HTTP/1.1 401 X\r\nWWW-Authenticate: {challenge}\r\nContent-Length: 0\r\n\r\n"
        if user is not None:
            text = f"HTTP/1.1 200 X\r\nContent-Length: {len(user)}\r\n\r\n{user}"
        await request.send(text.encode())
        return True

    async def logged_in(self, method: str, url: str) -> list[Response]:
        """Do as a browser does: ask, say hello, log in, and ask again on the connection."""
        async with asyncio.timeout(20):
            reader, writer = await asyncio.open_connection(*self.edge)
            self.addCleanup(writer.close)
            found = []
            for credentials in ("", "NTLM hello", "NTLM ann", ""):
                headers = {"Authorization": credentials} if credentials else {}
                found.append(await exchange(reader, writer, url, method, headers))
        return found

    async def no_one_else_is_ann(self) -> None:
        for method in ("GET", "POST"):
            for number in range(2):
                statuses = [one.status for one in await self.logged_in(method, f"/{number}")]
                self.assertEqual([401, 401, 200, 200], statuses)
            for url in ("/0", "/other"):
                for other in ("GET", "POST"):
                    response = await self.get(url, method=other)
                    self.assertEqual((401, b""), (response.status, response.body))

    async def test_while_armed(self) -> None:
        await self.no_one_else_is_ann()

    async def test_while_the_journal_is_replayed(self) -> None:
        await self.shield()
        await self.back()
        self.performer._cancel("drain")
        await self.no_one_else_is_ann()
        self.assertEqual(0, (await self.writes.counts("shop")).in_doubt)

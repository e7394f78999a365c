"""Responses of the intake: status URLs, 202, Idempotency-Key."""

from __future__ import annotations

import asyncio

from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.service import Target, WriteMode
from tests.functional.intake.case import IntakeCase
from tests.functional.replay.path import client, conf_for, reached, service


class ResponsesTest(IntakeCase):
    async def test_prefer_respond_async(self) -> None:
        await self.begin(send=False)
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", headers={"Prefer": "respond-async, wait=10"})
            self.assertEqual(202, response.status_code)
            self.assertEqual("respond-async", response.headers["preference-applied"])
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            await self.writes.drained("shop")
            stored = await http.get(response.headers["location"])
            self.assertEqual((200, "applied 1\n"), (stored.status_code, stored.text))
            self.assertEqual("respond-async, wait=10", self.guest.log[0].headers["prefer"])

    async def test_a_job_of_the_guest(self) -> None:
        """Its URL reaches the client: directly, or from the status URL."""
        await self.begin()
        self.guest.status, self.guest.extra = 202, "location: /jobs/1\r\n"
        prefer = {"Prefer": "respond-async"}
        async with client(self.writes.intake_socket) as http:
            direct = await http.post("/x", headers=prefer)
            self.assertEqual((202, "/jobs/1"), (direct.status_code, direct.headers["location"]))
            await self.writes.hold("shop")
            accepted = await http.post("/x", headers=prefer)
            await self.writes.send_to("shop", Target("127.0.0.1", self.guest.port))
            await self.writes.drained("shop")
            later = await http.get(accepted.headers["location"])
            self.assertEqual((202, "/jobs/1"), (later.status_code, later.headers["location"]))

    async def test_the_status_is_there_also_if_the_service_is_in_no_handover(self) -> None:
        await self.begin(send=False)
        async with client(self.writes.intake_socket) as http:
            location = (await http.post("/x", headers={"Prefer": "respond-async"})).headers[
                "location"
            ]
        await self.writes.stop()
        again = Writes(conf_for(self.directory))
        await again.start()
        self.addAsyncCleanup(again.stop)
        async with client(again.intake_socket) as http:
            found = await http.get(location)
            self.assertEqual((202, "accepted"), (found.status_code, found.json()["state"]))
            self.assertEqual(404, (await http.get(location[:-4] + "AAAA")).status_code)
            self.assertEqual(405, (await http.post(location)).status_code)
        async with client(again.intake_socket, "unknown") as http:
            self.assertEqual(404, (await http.get(location)).status_code)

    async def test_status_is_scoped_to_the_service(self) -> None:
        await self.begin(send=False)
        await self.writes.open(service("other"))
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x", headers={"Prefer": "respond-async"})
        async with client(self.writes.intake_socket, "other") as http:
            await http.post("/x", headers={"Prefer": "respond-async"})
            self.assertEqual(404, (await http.get(response.headers["location"])).status_code)

    async def test_accept_service(self) -> None:
        await self.begin(send=False)
        await self.writes.open(service(writes=WriteMode.ACCEPT))
        async with client(self.writes.intake_socket) as http:
            response = await http.post("/x")
            self.assertEqual(202, response.status_code)
            self.assertNotIn("preference-applied", response.headers)

    async def test_same_key_same_request_same_response(self) -> None:
        await self.begin()
        async with client(self.writes.intake_socket) as http:
            key = {"Idempotency-Key": '"k1"'}
            first = await http.post("/x", content=b"1", headers=key)
            again = await http.post("/x", content=b"1", headers=key)
            other = await http.post("/x", content=b"2", headers=key)
            stranger = await http.post("/x", content=b"1", headers=key | {"Authorization": "B x"})
        self.assertEqual(("applied 1\n", "applied 1\n"), (first.text, again.text))
        self.assertEqual(422, other.status_code)
        self.assertEqual("applied 2\n", stranger.text)
        self.assertEqual('"k1"', self.guest.log[0].headers["idempotency-key"])

    async def test_equal_keys_of_different_clients(self) -> None:
        """No client gets another one's response or cookie, and every POST reaches the guest."""
        await self.begin()
        self.guest.extra = "set-cookie: session=new\r\n"
        for name, values in (
            ("Cookie", ("session=alice", "session=bob")),
            ("Cookie", ("theme=x; sid=alice", "theme=x; sid=bob")),
            ("X-Api-Key", ("alice", "bob")),
            ("X-Auth-Token", ("alice", "bob")),
            ("Authorization", ("Bearer alice", "Bearer bob")),
        ):
            texts = []
            for value in (*values, values[0]):
                fields = {"Idempotency-Key": f'"{values}"', name: value}
                async with client(self.writes.intake_socket) as http:
                    texts.append((await http.post("/x", content=b"1", headers=fields)).text)
            with self.subTest(name):
                self.assertNotEqual(texts[0], texts[1])
                self.assertEqual(texts[0], texts[2])
        self.assertEqual(10, len(self.guest.log))

    async def test_equal_keys_of_what_may_be_one_client(self) -> None:
        """Neither applied again, nor answered, nor dropped silently."""
        await self.begin()
        key = {"Idempotency-Key": '"k1"'}
        before, after = ({"Cookie": f"sessionid=a; csrftoken={number}"} for number in (1, 2))
        async with client(self.writes.intake_socket) as http:
            await http.post("/x", content=b"1", headers=key | before)
            again = await http.post("/x", content=b"1", headers=key | after)
            self.assertEqual(422, again.status_code)
            self.assertEqual(200, (await http.post("/y", headers=key)).status_code)
        async with client(self.writes.intake_socket, who="10.0.0.2") as http:
            elsewhere = await http.post("/x", content=b"1", headers=key | before)
            self.assertEqual("applied 1\n", elsewhere.text)
            self.assertEqual(422, (await http.post("/y", headers=key)).status_code)
        self.assertEqual(2, len(self.guest.log))

    async def test_a_form_that_is_repeated_with_another_boundary(self) -> None:
        await self.begin()
        for number, size in enumerate((10, 300_000)):
            texts = []
            for content in (b"a", b"a", b"b"):
                async with client(self.writes.intake_socket) as http:
                    key = {"Idempotency-Key": f'"form {number}"'}
                    form = {"file": ("a.bin", content * size)}
                    texts.append((await http.post("/x", files=form, headers=key)).text)
            self.assertEqual(f"applied {number + 1}\n", texts[0])
            self.assertEqual(texts[0], texts[1])
            self.assertIn("another request", texts[2])
        kinds = {taken.headers["content-type"] for taken in self.guest.log}
        self.assertEqual(2, len(kinds))  # each with its own boundary
        self.assertEqual([], self.spooled())

    async def test_a_client_repeats_with_the_cookies_of_the_first_response(self) -> None:
        await self.begin()
        for number, (before, new, after) in enumerate((
            ({}, "session=new; Path=/; HttpOnly", {"Cookie": "session=new"}),
            ({"Cookie": "session=old"}, "session=new", {"Cookie": "session=new"}),
            ({"Cookie": "sid=old; csrf=1"}, "csrf=2", {"Cookie": "sid=old; csrf=2"}),
            ({"Cookie": "sid=old"}, "sid=; Expires=Thu, 01 Jan 1970 00:00:00 GMT", {}),
        )):  # fmt: skip
            self.guest.extra = f"set-cookie: {new}\r\n"
            key = {"Idempotency-Key": f'"{number}"'}
            texts = []
            for cookie in (before, after, before, {"Cookie": "sid=other"}):
                async with client(self.writes.intake_socket) as http:
                    texts.append((await http.post("/x", headers=key | cookie)).text)
            with self.subTest(before=before, new=new):
                self.assertEqual([texts[0]] * 3, texts[:3])
                self.assertNotEqual(texts[0], texts[3])
        self.assertEqual(8, len(self.guest.log))

    async def test_a_login_that_another_response_has_renewed(self) -> None:
        """The repetition is neither applied, nor does the new login get the first response."""
        await self.begin()
        key = {"Idempotency-Key": '"k1"'}
        async with client(self.writes.intake_socket) as http:
            await http.post("/x", content=b"1", headers=key | {"Cookie": "session=a; theme=dark"})
            for number, old, new in ((1, "a", "b"), (2, "b", "c")):
                self.guest.extra = f"set-cookie: session={new}; HttpOnly\r\n"
                await http.post(f"/other/{number}", headers={"Cookie": f"session={old}"})
        self.guest.extra = ""
        for session, content, status, words in (
            ("b", b"1", 409, "before the login was renewed"),
            ("c", b"1", 409, "before the login was renewed"),
            ("c", b"2", 422, "with another request"),
            ("a", b"1", 200, "applied 1"),
            ("x", b"1", 200, "applied 4"),
        ):
            cookie = {"Cookie": f"session={session}; theme=dark"}
            async with client(self.writes.intake_socket) as http:
                again = await http.post("/x", content=content, headers=key | cookie)
            with self.subTest(session=session, content=content):
                self.assertEqual(status, again.status_code)
                self.assertIn(words, again.text)
        self.assertEqual(4, len(self.guest.log))

    async def test_same_key_while_in_flight_and_after_a_restart(self) -> None:
        await self.begin(send=False)
        key = {"Idempotency-Key": '"k1"'}
        async with client(self.writes.intake_socket) as http:
            first = asyncio.create_task(http.post("/x", content=b"1", headers=key))
            await reached(self.writes, "accepted", 1)
            self.assertEqual(409, (await http.post("/x", content=b"1", headers=key)).status_code)
            self.assertEqual(422, (await http.post("/x", content=b"2", headers=key)).status_code)
            await self.writes.stop()
            self.assertEqual(202, (await first).status_code)
        await self.begin()
        await self.writes.drained("shop")
        async with client(self.writes.intake_socket) as http:
            again = await http.post("/x", content=b"1", headers=key)
        self.assertEqual("applied 1\n", again.text)
        self.assertEqual(1, len(self.guest.log))

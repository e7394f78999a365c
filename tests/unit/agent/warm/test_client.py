"""GET requests on a unix socket."""

import asyncio
import gzip
import unittest
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.warm import client as client_module
from nova_cachemig.agent.warm.client import CacheClient
from nova_cachemig.agent.warm.response import FetchError, Outcome
from tests.unit.agent.warm.fakes import FakeCache, Reply


def nothing(headers):
    return 0


class CacheClientTest(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.cache = FakeCache(lambda request: Reply(b"body"))
        await self.enterAsyncContext(self.cache)
        self.client = CacheClient(self.cache.path, 4, 10_000)
        self.addCleanup(self.client.close)

    async def get(self, url="/", body_limit=nothing, timeout=5.0, **headers):
        return await self.client.get(
            url, {"Host": "h", **headers}, timeout=timeout, body_limit=body_limit
        )

    async def fails(self, reply, text, **more):
        self.cache.respond = lambda request: reply
        with self.assertRaisesRegex(FetchError, text) as caught:
            await self.get(**more)
        return caught.exception

    async def test_get(self):
        response = await self.get("/a?b=c", body_limit=lambda headers: 3)
        self.assertEqual((200, b"bod", 4), (response.status, response.body, response.size))
        self.assertIs(Outcome.STORED, response.outcome)
        self.assertEqual("/a?b=c", self.cache.requests[0].url)
        self.assertEqual({"host": "h"}, self.cache.requests[0].headers)

    async def test_a_connection_is_reused(self):
        for _ in range(5):
            await self.get()
        self.assertEqual(1, self.cache.connections)

    async def test_a_closed_connection_is_replaced(self):
        self.cache.respond = lambda request: Reply(b"x", close=True)
        for _ in range(3):
            self.assertEqual(200, (await self.get()).status)

    async def test_concurrency_is_bounded(self):
        gate = asyncio.Event()

        async def wait(request):
            if len(self.cache.requests) >= 4:
                gate.set()
            await gate.wait()
            return Reply()

        self.cache.respond = wait
        await asyncio.gather(*(self.get(f"/{i}") for i in range(20)))
        self.assertEqual(4, self.cache.most_open)
        self.assertEqual(20, len(self.cache.requests))

    async def test_every_framing_of_a_body(self):
        for raw in (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\n\r\nabcd",
            b"HTTP/1.0 200 OK\r\n\r\nabcd",
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcd",
        ):
            with self.subTest(raw):
                self.cache.respond = lambda request, raw=raw: Reply(raw=raw, close=True)
                response = await self.get(body_limit=lambda headers: 99)
                self.assertEqual((200, b"abcd"), (response.status, response.body))
                self.assertNotIn("link", response.headers)

    async def test_the_digest_is_of_the_page(self):
        page = b"the same page" * 9
        digests = set()
        for mtime in (1, 2):
            self.cache.respond = lambda request, mtime=mtime: Reply(
                gzip.compress(page, mtime=mtime), headers={"Content-Encoding": "gzip"}
            )
            digests.add((await self.get()).digest)
        self.cache.respond = lambda request: Reply(page)
        digests.add((await self.get(body_limit=lambda headers: 3)).digest)
        self.assertEqual(1, len(digests))
        self.cache.respond = lambda request: Reply(page + b".")
        self.assertNotIn((await self.get()).digest, digests)

    async def test_no_body(self):
        for raw in (
            b"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ):
            self.cache.respond = lambda request, raw=raw: Reply(raw=raw)
            self.assertEqual(0, (await self.get(timeout=2.0)).size)

    async def test_timeout(self):
        async def never(request):
            await asyncio.Event().wait()

        self.cache.respond = never
        with self.assertRaises(FetchError) as caught:
            await self.get(timeout=0.05)
        self.assertTrue(caught.exception.timed_out)
        self.cache.respond = lambda request: Reply()
        self.assertEqual(200, (await self.get()).status)
        self.assertEqual(2, self.cache.connections)  # the stuck connection is not reused

    async def test_malformed_responses(self):
        await self.fails(Reply(raw=b"SSH-2.0-x\r\n\r\n"), "not an HTTP response")
        await self.fails(Reply(raw=b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "too long")
        await self.fails(
            Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", close=True),
            "is incomplete",
        )
        await self.fails(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-", close=True), "is incomplete")
        error = await self.fails(Reply(raw=b"", close=True), "closed the connection")
        self.assertTrue(error.unreachable)
        error = await self.fails(Reply(b"x" * 10_001), "larger than")
        self.assertTrue(error.permanent)
        self.cache.respond = lambda request: Reply()
        self.assertEqual(200, (await self.get()).status)

    async def test_unexpected_bytes_end_the_connection(self):
        self.cache.respond = lambda request: Reply(
            raw=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"
            b"Content-Length: 1\r\n\r\nb"
        )
        for _ in range(3):
            response = await self.get(body_limit=lambda headers: 9)
            self.assertEqual(b"a", response.body)

    async def test_no_cache(self):
        client = CacheClient(self.cache.path + ".not", 1, 1)
        with self.assertRaises(FetchError) as caught:
            await client.get("/", {}, timeout=1.0, body_limit=nothing)
        self.assertTrue(caught.exception.unreachable)

    async def test_no_credentials(self):
        await self.get(**{"authorization": "Basic eA==", "X-Ok": "1"})
        self.assertEqual({"host": "h", "x-ok": "1"}, self.cache.requests[0].headers)

    async def test_malformed_urls_and_headers_are_not_sent(self):
        for url in ("", "x", "/a b", "/a\r\nX: y", "/é", "/a\n", "http://x/", "/\0"):
            with self.subTest(url), self.assertRaises(FetchError) as caught:
                await self.get(url)
            self.assertTrue(caught.exception.permanent)
        for headers in ({"Host": "a\r\nX: y"}, {"Host": "a b"}, {"X": "y\r\nZ: 1"}, {"X Y": "1"}):
            with self.subTest(headers), self.assertRaises(FetchError):
                await self.client.get("/", headers, timeout=1.0, body_limit=nothing)
        self.assertEqual([], self.cache.requests)


class RequestTest(unittest.TestCase):
    @given(st.text(), st.text(), st.text(), st.text())
    def test_is_one_request_or_none(self, url, host, name, value):
        try:
            sent = client_module._request(url, {"Host": host, name: value})
        except FetchError:
            return
        self.assertEqual(1, sent.count(b"\r\n\r\n"))
        self.assertTrue(sent.endswith(b"\r\n\r\n"))
        self.assertLessEqual(sent.count(b"\n"), 4)
        self.assertEqual(sent.count(b"\r"), sent.count(b"\n"))


class ExchangeTest(unittest.IsolatedAsyncioTestCase):
    async def test_time_to_first_byte(self):
        future = asyncio.get_running_loop().create_future
        loop = mock.Mock(create_future=future, time=mock.Mock(side_effect=[7.0, 7.25]))
        exchange = client_module._Exchange(loop, nothing, 1000)
        exchange.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n")
        exchange.feed(b"x")
        self.assertEqual(0.25, exchange.response.result().first_byte)

    async def test_any_bytes_in_any_pieces(self):
        @given(st.lists(st.binary(max_size=60) | st.sampled_from([
            b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"\r\n", b"hello",
            b"Transfer-Encoding: chunked\r\n", b"5\r\n", b"HTTP/1.1 100 Continue\r\n\r\n",
        ]), max_size=12))  # fmt: skip
        def check(pieces):
            exchange = client_module._Exchange(asyncio.get_running_loop(), nothing, 1000)
            for piece in pieces:
                exchange.feed(piece)
            exchange.connection_ended()
            self.assertTrue(exchange.response.done())
            exchange.response.exception()

        check()

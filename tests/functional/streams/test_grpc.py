"""gRPC in every phase, with grpcio on both sides: without TLS (h2c), and with TLS at the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc

from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.service import Tls
from tests.functional.engine.servers import until
from tests.functional.engine.test_tls import make_certificate
from tests.functional.streams.guests import SERVICE
from tests.functional.streams.rig import REACHABLE, StreamCase

PATIENCE = 30.0
MANY = 300  # streams on one connection, as a client of many subscriptions has them


class GrpcCase(StreamCase):
    """``self.channel`` leads to the edge."""

    kind = "grpc"

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.channel = self.open()
        self.addAsyncCleanup(self.channel.close)

    def open(self) -> grpc.aio.Channel:
        address, port = self.edge
        return grpc.aio.insecure_channel(f"{address}:{port}")

    async def one(self, request: bytes, timeout: float = PATIENCE) -> bytes:
        call = self.channel.unary_unary(f"/{SERVICE}/One")
        return await call(request, timeout=timeout)

    def ticks(self, first: int = 0) -> Any:
        return self.channel.unary_stream(f"/{SERVICE}/Ticks")(str(first).encode())

    def echo(self) -> Any:
        return self.channel.stream_stream(f"/{SERVICE}/Echo")()

    async def join(self, *parts: bytes) -> bytes:
        async def each() -> AsyncIterator[bytes]:
            for part in parts:
                yield part

        return await self.channel.stream_unary(f"/{SERVICE}/Join")(each(), timeout=PATIENCE)


class Grpc(GrpcCase):
    async def test_live_streams_survive_a_handover(self) -> None:
        ticks, echo, sent = self.ticks(), self.echo(), []

        async def step(phase: str) -> None:
            for number in range(20):
                sent.append(f"{phase} {number}".encode())
                await echo.write(sent[-1])

        await self.through(step)
        async with asyncio.timeout(PATIENCE):
            self.assertEqual(sent, [await echo.read() for _ in sent])
            self.assertEqual(list(range(40)), [int(await ticks.read()) for _ in range(40)])
            await echo.write(b"last")
            self.assertEqual(b"last", await echo.read())
            await echo.done_writing()
            self.assertEqual(grpc.aio.EOF, await echo.read())
            self.assertEqual(grpc.StatusCode.OK, await echo.code())
        ticks.cancel()
        self.assertEqual((1, 1), (self.begun("ticks"), self.begun("echo")))

    async def test_calls_that_begin_in_the_silence_are_held(self) -> None:
        await self.flip(EdgeState.ARMED)
        live = self.echo()
        await live.write(b"before")
        self.assertEqual(b"before", await asyncio.wait_for(live.read(), PATIENCE))
        async with self.silence():
            calls = [asyncio.create_task(self.one(f"{n}".encode())) for n in range(10)]
            joined = asyncio.create_task(self.join(b"a", b"b"))
            ticks, echo = self.ticks(7), self.echo()
            await echo.write(b"x")
            await self.holding(13)
            self.assertEqual(0, self.begun("one"))
        async with asyncio.timeout(PATIENCE):
            self.assertEqual([f"{n}".encode() for n in range(10)], await asyncio.gather(*calls))
            self.assertEqual(b"a,b", await joined)
            self.assertEqual([7, 8, 9], [int(await ticks.read()) for _ in range(3)])
            self.assertEqual(b"x", await echo.read())
            await live.write(b"after")
            self.assertEqual(b"after", await live.read())
        begun = [self.begun(kind) for kind in ("one", "join", "ticks", "echo")]
        self.assertEqual([10, 1, 1, 2], begun)
        self.assertEqual([], self.intake.seen)

    async def test_every_kind_of_call_in_every_phase(self) -> None:
        for state in REACHABLE:
            with self.subTest(state):
                await self.flip(state)
                async with asyncio.timeout(PATIENCE):
                    self.assertEqual(b"x" * 300_000, await self.one(b"x" * 300_000))
                    self.assertEqual(b"a,b", await self.join(b"a", b"b"))
                    ticks = self.ticks()
                    self.assertEqual([0, 1, 2], [int(await ticks.read()) for _ in range(3)])
                    ticks.cancel()
                    echo = self.echo()
                    for text in (b"1", b"2"):
                        await echo.write(text)
                        self.assertEqual(text, await echo.read())
                    echo.cancel()
        self.assertEqual([], self.intake.seen)

    async def test_the_status_and_the_trailers_of_the_guest_arrive(self) -> None:
        for state in REACHABLE:
            with self.subTest(state):
                await self.flip(state)
                call = self.channel.unary_unary(f"/{SERVICE}/One")(b"x", timeout=PATIENCE)
                self.assertEqual(b"x", await call)
                self.assertIn(("after", "body"), tuple(await call.trailing_metadata()))
                with self.assertRaises(grpc.aio.AioRpcError) as refused:
                    await self.one(b"refuse")
                self.assertIs(grpc.StatusCode.FAILED_PRECONDITION, refused.exception.code())
                self.assertEqual("no: ÿ", refused.exception.details())

    async def test_the_guest_learns_of_a_cancellation_and_of_a_deadline(self) -> None:
        for state in REACHABLE:
            with self.subTest(state):
                await self.flip(state)
                before = self.ended("idle")
                call = self.channel.unary_stream(f"/{SERVICE}/Idle")(b"x")
                self.assertEqual(b"x", await asyncio.wait_for(call.read(), PATIENCE))
                call.cancel()
                await until(lambda before=before: self.ended("idle") == before + 1)

    async def test_one_connection_carries_many_live_streams(self) -> None:
        calls = [self.echo() for _ in range(MANY)]
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(call.write(b"x") for call in calls))
            self.assertEqual([b"x"] * MANY, await asyncio.gather(*(call.read() for call in calls)))
        for call in calls:
            call.cancel()

    async def test_a_call_past_its_deadline_in_the_silence_never_reaches_the_guest(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.one(b"x")
        async with self.silence():
            with self.assertRaises(grpc.aio.AioRpcError) as late:
                await self.one(b"y", timeout=0.3)
            self.assertIs(grpc.StatusCode.DEADLINE_EXCEEDED, late.exception.code())
            await self.holding(0)
        await self.one(b"z")
        self.assertEqual(2, self.begun("one"))


class ShortHold(GrpcCase):
    options = {"hold_timeout": 2}

    async def test_a_call_that_waited_too_long_is_unavailable(self) -> None:
        await self.flip(EdgeState.ARMED)
        await self.pause()
        with self.assertRaises(grpc.aio.AioRpcError) as late:
            await self.one(b"y")
        self.assertIs(grpc.StatusCode.UNAVAILABLE, late.exception.code())
        await self.resume()
        self.assertEqual(b"z", await self.one(b"z"))
        self.assertEqual(1, self.begun("one"))


class GrpcWithTls(Grpc):
    """TLS with ALPN to the edge. The guest gets HTTP/2 without TLS."""

    def a_service(self, name: str = "grpc", **fields: object) -> Any:
        path = self.root / "grpc.pem"
        if not path.exists():
            make_certificate(path, "grpc.example")
        return super().a_service(name, tls=Tls((str(path),)), **fields)

    def open(self) -> grpc.aio.Channel:
        address, port = self.edge
        text = (self.root / "grpc.pem").read_bytes()
        certificate = text[: text.index(b"-----BEGIN PRIVATE")]
        credentials = grpc.ssl_channel_credentials(certificate)
        options = [("grpc.ssl_target_name_override", "grpc.example")]
        return grpc.aio.secure_channel(f"{address}:{port}", credentials, options)

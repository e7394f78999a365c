"""Guests that stream, each a separate program: ``python -m … NAME ADDRESS PORT``.

``websocket``
    Returns each message, and pushes numbers on ``/ticks``.
``events``
    Server-sent events: numbers from the one behind ``Last-Event-ID`` on.
``grpc``
    Calls of each kind. The messages are bytes, so no code is generated.

Each prints one line for each stream that begins (``+``) or ends (``-``), with its path.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import websockets
from aiohttp import web
from websockets.asyncio.server import ServerConnection, serve

TICK = 0.05
"""Seconds between two numbers."""

SERVICE = "test.Echo"


@contextlib.contextmanager
def logged(path: str) -> Any:
    """Print the begin and the end of a stream."""
    print("+", path, flush=True)
    try:
        yield
    finally:
        print("-", path, flush=True)


async def websocket(address: str, port: int) -> None:
    """Serve WebSockets."""

    async def ticks(connection: ServerConnection) -> None:
        for number in itertools.count():
            await connection.send(f"{number}")
            await asyncio.sleep(TICK)

    async def handle(connection: ServerConnection) -> None:
        path = connection.request.path if connection.request else ""
        with logged(path), contextlib.suppress(websockets.ConnectionClosed):
            if path == "/ticks":
                await ticks(connection)
            async for message in connection:
                await connection.send(message)

    async with serve(handle, address, port):
        await asyncio.Event().wait()


async def events(address: str, port: int) -> None:
    """Serve events on every path; the client may also ask by POST, as for the output of a model."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if request.path == "/health":
            return web.Response(text="ok")
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )
        with logged(request.path):
            await response.prepare(request)
            for number in itertools.count(int(request.headers.get("Last-Event-ID", -1)) + 1):
                await response.write(f"id: {number}\ndata: {number}\n\n".encode())
                await asyncio.sleep(TICK)
        return response

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    await asyncio.Event().wait()


async def _one(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    with logged("one"):
        context.set_trailing_metadata((("after", "body"),))
        if request == b"refuse":
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no: ÿ")
        return request


async def _ticks(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    with logged("ticks"):
        for number in itertools.count(int(request)):
            yield f"{number}".encode()
            await asyncio.sleep(TICK)


async def _idle(request: bytes, context: grpc.aio.ServicerContext) -> AsyncIterator[bytes]:
    with logged("idle"):
        yield request
        await asyncio.Event().wait()


async def _echo(requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
    with logged("echo"):
        async for request in requests:
            yield request


async def _join(requests: AsyncIterator[bytes], context: Any) -> bytes:
    with logged("join"):
        return b",".join([request async for request in requests])


async def grpc_(address: str, port: int) -> None:
    """Serve gRPC without TLS."""
    server = grpc.aio.server()
    handlers = {
        "One": grpc.unary_unary_rpc_method_handler(_one),
        "Ticks": grpc.unary_stream_rpc_method_handler(_ticks),
        "Idle": grpc.unary_stream_rpc_method_handler(_idle),
        "Echo": grpc.stream_stream_rpc_method_handler(_echo),
        "Join": grpc.stream_unary_rpc_method_handler(_join),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_insecure_port(f"{address}:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    served = {"websocket": websocket, "events": events, "grpc": grpc_}[sys.argv[1]]
    asyncio.run(served(sys.argv[2], int(sys.argv[3])))

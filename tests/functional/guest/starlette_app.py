"""A Starlette application like a guest's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from nova_cachemig.guest import AsgiIdempotency
from tests.functional.guest import shop


async def orders(request: Request) -> Response:
    """Apply the body."""
    response = Response(await asyncio.to_thread(shop.apply, await request.body()), status_code=201)
    response.headers["X-Shop"] = "starlette"
    response.set_cookie("order", "1")
    response.set_cookie("cart", "2")
    return response


async def own(request: Request) -> Response:
    """Apply the write and its key in one transaction."""
    key = request.scope["nova_cachemig.idempotency_key"]
    text, _ = await asyncio.to_thread(shop.apply_with_key, await request.body(), key)
    return Response(text, status_code=201)


async def form(request: Request) -> Response:
    """Apply a form with a file."""
    async with request.form() as fields:
        content = await fields["file"].read()
        shop.apply(fields["name"].encode())
        return JSONResponse({"name": fields["name"], "bytes": len(content)})


async def large(request: Request) -> Response:
    """Respond with more than is kept, piece by piece."""
    shop.apply(await request.body())

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 50_000

    return StreamingResponse(pieces(), status_code=201, headers={"Location": "/o/1"})


async def fails(request: Request) -> Response:
    """Apply, then fail."""
    shop.apply(await request.body())
    raise ArithmeticError("planted")


class Dying:
    """Outside of the middleware: dies when the response is stored, before a byte of it is sent."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async def dying(message: Any) -> None:
            shop.die_at("stored")
            await send(message)

        await self._app(scope, receive, dying if scope["type"] == "http" else send)


app = Starlette(
    routes=[
        Route("/orders", orders, methods=["POST", "PUT", "DELETE"]),
        Route("/own", own, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/large", large, methods=["POST"]),
        Route("/fails", fails, methods=["POST"]),
    ],
    middleware=[
        Middleware(Dying),
        Middleware(AsgiIdempotency, store=shop.KEYS, settings=shop.SETTINGS),
    ],
)

"""The middleware for ASGI: Starlette, FastAPI, Quart, Litestar, Django and others, on asyncio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from nova_cachemig.guest import form
from nova_cachemig.guest import key as keys
from nova_cachemig.guest.body import Body, NoRoom, TooLarge
from nova_cachemig.guest.registry import KEY, KeyRegistry
from nova_cachemig.guest.response import Response
from nova_cachemig.guest.settings import DEFAULT, Settings
from nova_cachemig.guest.store import Store

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_CHUNK: Final = 64 << 10  # bytes


class AsgiIdempotency:
    """Wraps an application: ``app.add_middleware(AsgiIdempotency, store="/var/lib/shop/keys")``.

    The middleware reads a request with Idempotency-Key completely before it calls the application.
    It stores the response before the client gets the first byte.
    """

    def __init__(
        self,
        app: App,
        store: Store | str | os.PathLike[str],
        settings: Settings = DEFAULT,
    ) -> None:
        """``store``: a store of keys, or the path of an SQLite file."""
        self._app = app
        self._registry = KeyRegistry(store, settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request. Other kinds of connection pass."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = _Headers(scope)
        key = self._registry.key(
            scope["method"], headers.get("idempotency-key"), lambda name: headers.get(name) or ""
        )
        if key is None:
            await self._app(scope, receive, send)
        elif isinstance(key, Response):
            await _send(key, send)
        else:
            body = Body(self._registry.max_body)
            try:
                await self._keyed(key, body, headers, _Channel(scope, receive, send))
            finally:
                body.close()

    async def _keyed(self, key: str, body: Body, headers: _Headers, channel: _Channel) -> None:
        registry, scope = self._registry, channel.scope
        length = headers.get("content-length") or "0"
        if length.isdecimal() and int(length) > registry.max_body:
            await _send(registry.too_large(), channel.send)
            return
        try:
            if not await _read_body(channel.receive, body):
                return  # the client is gone; nothing was applied
        except TooLarge:
            await _send(registry.too_large(), channel.send)
            return
        except NoRoom as exc:
            await _send(registry.no_room(exc), channel.send)
            return
        cookies = registry.cookies(lambda name: headers.get(name) or "")
        fingerprint = _fingerprint(scope, headers, cookies, body)
        refusal = await self._claim(key, fingerprint)
        if refusal is not None:
            await _send(refusal, channel.send)
            return
        exchange = _Exchange(registry, key, body, channel)
        await exchange.run(self._app)

    async def _claim(self, key: str, fingerprint: str) -> Response | None:
        task = asyncio.create_task(asyncio.to_thread(self._registry.claim, key, fingerprint))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if await task is None:
                await asyncio.to_thread(self._registry.release, key)
            raise


class _Channel:
    """The arguments of the server's call."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send


class _Headers:
    """A request's headers by name."""

    def __init__(self, scope: Scope) -> None:
        self._headers: list[tuple[bytes, bytes]] = list(scope["headers"])

    def get(self, name: str) -> str | None:
        """Return a header's values as one."""
        wanted = name.lower().encode("latin-1")
        found = [value.decode("latin-1") for key, value in self._headers if key.lower() == wanted]
        return ", ".join(found) if found else None


class _Exchange:
    """One call of the application, and its response."""

    def __init__(self, registry: KeyRegistry, key: str, body: Body, channel: _Channel) -> None:
        self._registry = registry
        self._key = key
        self._body = body
        self._remaining = body.length
        self._body_delivered = False
        self._channel = channel
        self._start: Message | None = None
        self._chunks: list[bytes] = []
        self._length = 0
        self._done = False
        self._sending = asyncio.Event()  # the client gets the response

    async def run(self, app: App) -> None:
        """Call the application and store its response."""
        try:
            await app(self._scope(), self.receive, self.send)
            if not self._done:
                raise RuntimeError("the application returned before its response was complete")
        except Exception:
            if not self._done:
                await _finish(self._registry.record_failure, self._key)
            raise
        except BaseException:  # cancelled: the server stops
            if not self._done:
                await _finish(self._registry.mark_unknown, self._key)
            raise

    def _scope(self) -> Scope:
        scope = dict(self._channel.scope)
        # The middleware can store only responses that pass through send() as bytes.
        offered = scope.get("extensions") or {}
        scope["extensions"] = {
            name: value for name, value in offered.items() if not name.startswith("http.response.")
        }
        scope[KEY] = self._key
        return scope

    async def receive(self) -> Message:
        """Give the body to the application."""
        if not self._body_delivered:
            chunk = self._body.file.read(_CHUNK)
            self._remaining -= len(chunk)
            self._body_delivered = self._remaining <= 0
            return {"type": "http.request", "body": chunk, "more_body": not self._body_delivered}
        # If it learned that its client has left, an application could stop. The next attempt needs
        # the response.
        await self._sending.wait()
        return await self._channel.receive()

    async def send(self, message: Message) -> None:
        """Collect the response, store it, then send it."""
        kind = message["type"]
        if self._done or kind not in {"http.response.start", "http.response.body"}:
            await self._channel.send(message)
        elif kind == "http.response.start":
            self._start = message
        elif self._start is None:
            raise RuntimeError("http.response.body came before http.response.start")
        else:
            await self._collect(self._start, message)

    async def _collect(self, start: Message, message: Message) -> None:
        chunk = message.get("body", b"")
        more = message.get("more_body", False)
        self._chunks.append(chunk)
        self._length += len(chunk)
        whole = self._length <= self._registry.max_response
        if whole and more:
            return
        headers = tuple(
            (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
            for name, value in start.get("headers", ())
        )
        content = b"".join(self._chunks)
        self._chunks.clear()
        response = Response(start["status"], "", headers, content if whole else b"", whole)
        self._done = True
        await _finish(self._registry.record_response, self._key, response)
        self._sending.set()
        if whole:
            await _send(response.framed(), self._channel.send)
            return
        await self._channel.send(start)
        await self._channel.send({**message, "body": content})


async def _finish(call: Callable[..., None], *args: Any) -> None:
    """Call the store even if this task is cancelled."""
    await asyncio.shield(asyncio.create_task(asyncio.to_thread(call, *args)))


async def _read_body(receive: Receive, body: Body) -> bool:
    """Read the body. Return False if the client has left. Raises TooLarge or NoRoom."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return False
        body.add(message.get("body", b""))
        more = message.get("more_body", False)
    return True


def _fingerprint(scope: Scope, headers: _Headers, cookies: str, body: Body) -> str:
    query = bytes(scope.get("query_string", b"")).decode("latin-1")
    kind, boundary = form.split_type(headers.get("content-type") or "")
    return keys.fingerprint(
        scope["method"],
        headers.get("host") or "",
        f"{scope['path']}?{query}",
        kind,
        cookies,
        body.rewind(boundary),
    )


async def _send(response: Response, send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": response.body})

"""The middleware for WSGI (PEP 3333): Flask, Django, Pyramid, Falcon and others."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from nova_cachemig.guest import form
from nova_cachemig.guest import key as keys
from nova_cachemig.guest.body import Body, NoRoom, TooLarge
from nova_cachemig.guest.registry import KEY, KeyRegistry
from nova_cachemig.guest.response import Response, phrase, problem_response
from nova_cachemig.guest.settings import DEFAULT, Settings
from nova_cachemig.guest.store import Store

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_CHUNK: Final = 64 << 10  # bytes


class WsgiIdempotency:
    """Wraps an application: ``app.wsgi_app = WsgiIdempotency(app.wsgi_app, "/var/lib/shop/keys")``.

    The middleware reads a request with Idempotency-Key completely before it calls the application.
    It stores the response before the client gets the first byte.
    """

    def __init__(
        self,
        app: WSGIApplication,
        store: Store | str | os.PathLike[str],
        settings: Settings = DEFAULT,
    ) -> None:
        """``store``: a store of keys, or the path of an SQLite file."""
        self._app = app
        self._registry = KeyRegistry(store, settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Handle one request."""
        registry = self._registry

        def header(name: str) -> str:
            return str(environ.get("HTTP_" + name.upper().replace("-", "_"), ""))

        key = registry.key(environ["REQUEST_METHOD"], environ.get("HTTP_IDEMPOTENCY_KEY"), header)
        if key is None:
            return self._app(environ, start_response)
        if isinstance(key, Response):
            return _send(key, start_response)
        body = Body(registry.max_body)
        try:
            refusal = _read_body(environ, body, registry) or registry.claim(
                key, _fingerprint(environ, registry.cookies(header), body)
            )
        except BaseException:
            body.close()
            raise
        if refusal is not None:
            body.close()
            return _send(refusal, start_response)
        environ["wsgi.input"] = body.file
        environ["wsgi.input_terminated"] = True
        environ["CONTENT_LENGTH"] = str(body.length)
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        environ[KEY] = key
        return self._apply(key, environ, start_response, body)

    def _apply(
        self, key: str, environ: WSGIEnvironment, start_response: StartResponse, body: Body
    ) -> Iterable[bytes]:
        registry = self._registry
        call = _Call(body)
        try:
            response = call.run(self._app, environ, registry.max_response)
        except Exception:
            registry.record_failure(key)
            raise
        except BaseException:  # the server ends this worker, or the greenlet is killed
            registry.mark_unknown(key)
            raise
        registry.record_response(key, response)
        if response.whole:
            return _send(response.framed(), start_response)
        return call.stream(start_response)


class _Call:
    """One call of the application. An iterable of the response, if this is too large to store."""

    def __init__(self, body: Body) -> None:
        self._body = body
        self._status = ""
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._result: Iterable[bytes] = ()
        self._rest: Iterator[bytes] = iter(())
        self._length = 0
        self._streaming = False

    def run(self, app: WSGIApplication, environ: WSGIEnvironment, limit: int) -> Response:
        """Collect the response, up to ``limit`` bytes."""
        whole = False
        try:
            self._result = app(environ, self._start)
            self._rest = iter(self._result)
            for chunk in self._rest:
                self._collect(chunk)
                if self._length > limit:
                    break
            else:
                whole = self._length <= limit
            if not self._status:
                raise RuntimeError("the application did not call start_response")
            code, _, reason = self._status.partition(" ")
            body = b"".join(self._chunks) if whole else b""
            response = Response(int(code), reason, tuple(self._headers), body, whole)
        except BaseException:
            self.close()
            raise
        if whole:
            self.close()  # before the response is stored: the application has then finished
        return response

    def stream(self, start_response: StartResponse) -> _Call:
        """Stream a response to the client that is too large to store."""
        self._streaming = True
        start_response(self._status, self._headers)
        return self

    def _start(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        if exc_info is not None and self._streaming:
            raise exc_info[1]
        # Otherwise nothing was sent: a second call may replace the first.
        self._status, self._headers = status, list(headers)
        return self._collect

    def _collect(self, chunk: bytes) -> None:
        self._chunks.append(chunk)
        self._length += len(chunk)

    def __iter__(self) -> Iterator[bytes]:
        """Return the complete response."""
        return itertools.chain(self._chunks, self._rest)

    def close(self) -> None:
        """Close the response and the body."""
        try:
            if (close := getattr(self._result, "close", None)) is not None:
                close()
        finally:
            self._body.close()


def _read_body(environ: WSGIEnvironment, body: Body, registry: KeyRegistry) -> Response | None:
    """Read the body. Return a refusal if this fails, else None."""
    length = environ.get("CONTENT_LENGTH") or None
    if length is not None and not length.isdecimal():
        return problem_response(400, "body-broken", "Content-Length is not a number.")
    left = None if length is None else int(length)
    if left is None and not environ.get("wsgi.input_terminated"):
        if "HTTP_TRANSFER_ENCODING" in environ:
            detail = "This server cannot tell the end of a body without Content-Length."
            return problem_response(411, "length-required", detail)
        left = 0
    if left is not None and left > registry.max_body:
        return registry.too_large()
    try:
        while left is None or left > 0:
            chunk = environ["wsgi.input"].read(_CHUNK if left is None else min(left, _CHUNK))
            if not chunk:
                break
            body.add(chunk)
            left = None if left is None else left - len(chunk)
    except TooLarge:
        return registry.too_large()
    except NoRoom as exc:
        return registry.no_room(exc)
    if left:
        return problem_response(400, "body-broken", "The body ended too early. It was not applied.")
    return None


def _fingerprint(environ: WSGIEnvironment, cookies: str, body: Body) -> str:
    query = environ.get("QUERY_STRING", "")
    kind, boundary = form.split_type(environ.get("CONTENT_TYPE", ""))
    return keys.fingerprint(
        environ["REQUEST_METHOD"],
        environ.get("HTTP_HOST", ""),
        environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "") + "?" + query,
        kind,
        cookies,
        body.rewind(boundary),
    )


def _send(response: Response, start_response: StartResponse) -> list[bytes]:
    status = f"{response.status} {response.reason or phrase(response.status)}"
    start_response(status, list(response.headers))
    return [response.body]

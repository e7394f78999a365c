"""Methods, bodies and connections of requests."""

from __future__ import annotations

from collections.abc import Iterator

from tests.functional.twin.case import (
    HALF_CLOSE,
    ID,
    PAUSE,
    WAIT,
    Case,
    answer,
    case,
    chunked,
    request,
    write,
)

_SAFE = (b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PROPFIND", b"REPORT", b"SEARCH", b"QUERY")
_UNSAFE = (
    *(b"POST", b"PUT", b"PATCH", b"DELETE", b"PURGE", b"MKCOL", b"MKCALENDAR", b"LOCK", b"UNLOCK"),
    *(b"PROPPATCH", b"ACL", b"CHECKOUT", b"CHECKIN", b"MERGE", b"BIND", b"LINK", b"UNLINK"),
    *(b"NOTIFY", b"SUBSCRIBE", b"M-SEARCH", b"BREW", b"X", b"post"),
)
_CHUNKED = ((b"Transfer-Encoding", b"chunked"),)


def methods() -> Iterator[Case]:
    """Yield each method, with and without a body."""
    for method in _SAFE:
        yield case(f"method: {method.decode()}", request(method=method))
    for method in (*_SAFE[4:], *_UNSAFE):
        yield case(f"method: {method.decode()} with a body", write(method))
    for method in (b"POST", b"DELETE", b"PUT"):
        empty = request(method=method, headers=((b"Content-Length", b"0"),))
        yield case(f"method: {method.decode()} with an empty body", empty)
        yield case(f"method: {method.decode()} without a length", request(method=method))
    for method in (b"COPY", b"MOVE"):
        to = (b"Destination", b"http://shop.example/copy-" + ID)
        yield case(f"method: {method.decode()}", request(method=method, headers=(to,)))
    yield case("method: GET with a body", write(b"GET"))
    yield case("method: GET with an empty body", write(b"GET", b""))
    yield case("method: OPTIONS with a body", write(b"OPTIONS"))
    asked = ((b"Origin", b"https://a.example"), (b"Access-Control-Request-Method", b"PUT"))
    yield case("method: a preflight", request(method=b"OPTIONS", headers=asked))
    permission = (
        (b"Access-Control-Allow-Origin", b"https://a.example"),
        (b"Access-Control-Allow-Methods", b"GET, PUT"),
        (b"Vary", b"Origin"),
    )
    for status, body in ((b"200 OK", b""), (b"200 OK", b"GET, PUT"), (b"204 No Content", b"")):
        yield case(
            f"method: a preflight that gets {status.decode()} {len(body)}",
            request(method=b"OPTIONS", headers=asked),
            answer=answer(status, body, permission, length=status[:3] == b"200"),
        )


def bodies() -> Iterator[Case]:
    """Yield the ways in which a body is sent."""
    for size in (0, 1, 100, 4096, 16_384, 65_536, 300_000):
        body = bytes(range(256)) * (size // 256 + 1)
        yield case(f"body: {size} bytes", write(body=body[:size]))
        parts = [body[at : at + 5000] for at in range(0, size, 5000)]
        data = chunked(*(part[: size - 5000 * at] for at, part in enumerate(parts)))
        yield case(
            f"body: {size} bytes in chunks", request(method=b"POST", headers=_CHUNKED, body=data)
        )
    in_chunks = request(method=b"PUT", headers=_CHUNKED)
    yield case("body: in chunks of one byte", in_chunks + chunked(*[b"x"] * 100))
    yield case(
        "body: with a chunk's size in upper case", in_chunks + b"A\r\n0123456789\r\n0\r\n\r\n"
    )
    yield case("body: with zeros before a size", in_chunks + b"000a\r\n0123456789\r\n0000\r\n\r\n")
    yield case("body: with an extension of a chunk", in_chunks + b'1;a="b"\r\nx\r\n0;c\r\n\r\n')
    trailers = chunked(b"abc", trailers=b"X-Sum: 1\r\n")
    yield case("body: with trailers", in_chunks + trailers)
    announced = (*_CHUNKED, (b"Trailer", b"X-Sum"), (b"TE", b"trailers"))
    yield case(
        "body: with trailers that are announced",
        request(method=b"PUT", headers=announced, body=trailers),
    )
    yield case("body: in pieces", write(body=b"ab")[:-2], PAUSE, b"a", PAUSE, b"b")
    yield case("body: in chunks and pieces", in_chunks, PAUSE, b"3\r\nab", PAUSE, b"c\r\n0\r\n\r\n")
    yield case("body: GET with chunks", request(headers=_CHUNKED, body=chunked(b"abc")))
    for name, headers in (
        ("a length", (b"Content-Length", b"4")),
        ("chunks", (b"Transfer-Encoding", b"chunked")),
    ):
        waits = (headers, (b"Expect", b"100-continue"))
        data = b"body" if name == "a length" else chunked(b"body")
        yield case(f"expect: {name}", request(method=b"PUT", headers=waits), WAIT, data)
        yield case(f"expect: {name}, without waiting", request(method=b"PUT", headers=waits), data)
        refused = answer(b"417 Expectation Failed", early=True)
        yield case(
            f"expect: {name}, refused",
            request(method=b"PUT", headers=waits),
            WAIT,
            data,
            answer=refused,
        )
    for kind in (b"application/json", b"multipart/form-data; boundary=x", b"application/grpc-web"):
        yield case(f"body: {kind.decode()}", write(headers=((b"Content-Type", kind),)))
    yield case("body: Content-Encoding", write(headers=((b"Content-Encoding", b"gzip"),)))
    yield case("body: Content-MD5 and Digest", write(headers=((b"Digest", b"sha-256=x"),)))


def connections() -> Iterator[Case]:
    """Yield versions of HTTP, several requests on a connection, and ways to end it."""
    for version in (b"HTTP/1.0", b"HTTP/1.1"):
        name = version.decode()
        for option in (b"close", b"keep-alive", b"Close, X-Other"):
            head = ((b"Connection", option),)
            yield case(f"{name}: {option.decode()}", request(version=version, headers=head))
            data = request(
                version=version,
                method=b"PUT",
                headers=(*head, (b"Content-Length", b"1")),
                body=b"x",
            )
            yield case(f"{name}: {option.decode()}, written", data)
        yield case(f"{name}: no option", request(version=version))
        yield case(f"{name}: HEAD", request(version=version, method=b"HEAD"))
    yield case("HTTP/1.0: without a host", request(version=b"HTTP/1.0", host=None))
    yield case(
        "HTTP/1.0: without a host, written",
        request(
            method=b"PUT",
            version=b"HTTP/1.0",
            host=None,
            headers=((b"Content-Length", b"1"),),
            body=b"x",
        ),
    )
    for number in (2, 5):
        yield case(f"pipeline: {number} reads", request() * number, responses=number)
    yield case("pipeline: 2 writes", write() * 2, responses=2)
    yield case(
        "pipeline: 2 in chunks",
        request(method=b"PUT", headers=_CHUNKED, body=chunked(b"a")) * 2,
        responses=2,
    )
    yield case("pipeline: a read behind a write", write(b"PUT") + request(), responses=2)
    yield case("pipeline: HEAD behind GET", request(method=b"HEAD") * 2, responses=2)
    closing = request(headers=((b"Connection", b"close"),))
    yield case("pipeline: the second one closes", request() + closing, responses=2)
    yield case("pipeline: one after the other", request(), PAUSE, request(), responses=2)
    yield case("pipeline: an empty line between", request() + b"\r\n" + request(), responses=2)
    yield case("pieces: of a head", request()[:9], PAUSE, request()[9:])
    yield case("pieces: at the line's end", request()[:-3], PAUSE, request()[-3:])
    yield case("pieces: an empty line first", b"\r\n" + request())
    yield case("half-close: a read", request(), HALF_CLOSE)
    yield case("half-close: a read, later", request(), PAUSE, HALF_CLOSE)
    yield case("half-close: a write", write(), HALF_CLOSE)
    asked = (
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"websocket"),
        (b"Sec-WebSocket-Version", b"13"),
        (b"Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    )
    taken = answer(
        b"101 Switching Protocols",
        b"",
        (*asked[:2], (b"Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
        length=False,
        echo=True,
    )
    yield case("upgrade: a WebSocket", request(headers=asked), WAIT, b"ping", answer=taken)
    yield case(
        "upgrade: a WebSocket that is refused",
        request(headers=asked),
        answer=answer(b"426 Upgrade Required"),
    )
    attach = ((b"Connection", b"Upgrade"), (b"Upgrade", b"tcp"))
    taken = answer(b"101 Switching Protocols", b"", attach, length=False, echo=True)
    yield case(
        "upgrade: of a POST",
        request(method=b"POST", headers=(*attach, (b"Content-Length", b"0"))),
        WAIT,
        b"ping",
        answer=taken,
    )

"""Responses of the guest: each status, each framing, odd fields."""

from __future__ import annotations

from collections.abc import Iterator

from tests.functional.twin.case import (
    STORABLE,
    Case,
    answer,
    case,
    chunked,
    request,
    write,
)

_STATUSES = (
    b"200 OK",
    b"200 ",
    b"200",
    b"201 Created",
    b"202 Accepted",
    b"203 Other",
    b"207 Multi-Status",
    b"226 IM Used",
    b"299 Odd",
    b"300 Choices",
    b"301 Moved",
    b"302 Found",
    b"303 See Other",
    b"305 Use Proxy",
    b"307 Temporary",
    b"308 Permanent",
    b"400 Bad",
    b"401 Unauthorized",
    b"402 Pay",
    b"403 Forbidden",
    b"404 Not Found",
    b"405 Not Allowed",
    b"406 Not Acceptable",
    b"408 Timeout",
    b"409 Conflict",
    b"410 Gone",
    b"418 Teapot",
    b"421 Misdirected",
    b"422 Unprocessable",
    b"423 Locked",
    b"425 Too Early",
    b"426 Upgrade",
    b"428 Required",
    b"429 Too Many",
    b"431 Large",
    b"451 Legal",
    b"499 Odd",
    b"500 Error",
    b"501 Not Implemented",
    b"502 Bad Gateway",
    b"503 Unavailable",
    b"504 Timeout",
    b"507 Full",
    b"511 Login",
    b"599 Odd",
)

_FIELDS = {
    "two Set-Cookie": ((b"Set-Cookie", b"a=b; Path=/"), (b"Set-Cookie", b"c=d, e")),
    "twenty Set-Cookie": tuple((b"Set-Cookie", b"c%d=d" % number) for number in range(20)),
    "two WWW-Authenticate": ((b"WWW-Authenticate", b"Basic"), (b"WWW-Authenticate", b"Bearer")),
    "two Link": ((b"Link", b"</a>; rel=preload"), (b"Link", b"</b>; rel=preload")),
    "two Vary": ((b"Vary", b"Accept"), (b"Vary", b"Cookie")),
    "Vary: *": ((b"Vary", b"*"),),
    "two Cache-Control": (
        (b"Cache-Control", b"max-age=60"),
        (b"Cache-Control", b"stale-if-error=9"),
    ),
    "no-store": ((b"Cache-Control", b"no-store"),),
    "private": ((b"Cache-Control", b"private, max-age=600"),),
    "no Cache-Control": (),
    "Expires": ((b"Expires", b"Sun, 06 Nov 2095 08:49:37 GMT"),),
    "Expires: 0": ((b"Expires", b"0"),),
    "Age": ((b"Age", b"17"), (b"Cache-Control", b"max-age=600")),
    "Date": ((b"Date", b"Sun, 06 Nov 1994 08:49:37 GMT"), (b"Cache-Control", b"max-age=600")),
    "a weak ETag": ((b"ETag", b'W/"1"'), (b"Cache-Control", b"max-age=600")),
    "an ETag without quotes": ((b"ETag", b"abc"),),
    "Accept-Ranges": ((b"Accept-Ranges", b"none"),),
    "Location": ((b"Location", b"/a?b#c"), (b"Content-Location", b"/d")),
    "Via": ((b"Via", b"1.0 a, 1.1 b"),),
    "Warning": ((b"Warning", b'110 a "stale"'),),
    "Cache-Status": ((b"Cache-Status", b"origin; hit"), (b"Cache-Control", b"max-age=600")),
    "CDN-Cache-Control": ((b"CDN-Cache-Control", b"max-age=600"),),
    "Surrogate-Control": ((b"Surrogate-Control", b"max-age=600"),),
    "Upgrade": ((b"Upgrade", b"h2c"), (b"Connection", b"Upgrade")),
    "a named hop-by-hop field": ((b"Connection", b"x-hop"), (b"X-Hop", b"1")),
    "Keep-Alive": ((b"Connection", b"keep-alive"), (b"Keep-Alive", b"timeout=5")),
    "Proxy-Authenticate": ((b"Proxy-Authenticate", b"Basic"),),
    "X-Varnish": ((b"X-Varnish", b"1"), (b"X-Cache", b"HIT")),
    "UTF-8": ((b"X-Name", b"caf\xc3\xa9"),),
    "Latin-1": ((b"X-Name", b"caf\xe9"),),
    "an empty value": ((b"X-Empty", b""),),
    "Content-Disposition": ((b"Content-Disposition", b"attachment; filename*=UTF-8''a%20b"),),
    "CORS": ((b"Access-Control-Allow-Origin", b"*"), (b"Access-Control-Max-Age", b"9")),
    "CSP": ((b"Content-Security-Policy", b"default-src 'self'; report-uri /r"),),
    "Alt-Svc": ((b"Alt-Svc", b'h3=":443"'),),
    "Refresh": ((b"Refresh", b"0; url=/x"),),
    "Content-Type twice": ((b"Content-Type", b"text/html"), (b"Content-Type", b"text/html")),
    "a field of 8 kB": ((b"X-Large", b"x" * 8000),),
    "a field of 14 kB": ((b"X-Large", b"x" * 14_000),),
    "100 fields": tuple((b"X-%d" % number, b"1") for number in range(100)),
    "250 fields": tuple((b"X-%d" % number, b"1") for number in range(250)),
}

_CHUNKED = (*STORABLE, (b"Transfer-Encoding", b"chunked"))


def statuses() -> Iterator[Case]:
    """Yield each status of a read, and of a write."""
    for status in _STATUSES:
        name = status.decode()
        yield case(f"status: {name}", request(), answer=answer(status))
        if status[:3] not in (b"425", b"409"):
            yield case(f"status: {name}, written", write(), answer=answer(status))
    for status in (b"204 No Content", b"205 Reset"):
        for method in (b"GET", b"PUT"):
            sent = request() if method == b"GET" else write(method)
            empty = answer(status, b"", length=status[:3] != b"204")
            yield case(f"status: {status.decode()}, {method.decode()}", sent, answer=empty)


def fields() -> Iterator[Case]:
    """Yield odd fields."""
    for name, several in _FIELDS.items():
        yield case(f"answer: {name}", request(), answer=answer(headers=several))
    written = ("two Set-Cookie", "no-store", "Latin-1", "two Link", "100 fields", "Via")
    for name in (*written, "250 fields", "a field of 14 kB"):
        reply = answer(headers=_FIELDS[name])
        yield case(f"answer: {name}, written", write(), answer=reply)
        yield case(f"answer: {name}, HEAD", request(method=b"HEAD"), answer=reply)
    folded = answer(headers=(*STORABLE, (b"X-Folded", b"a\r\n b")))
    yield case("answer: a folded field", request(), answer=folded)
    yield case("answer: a folded field, written", write(), answer=folded)


def framings() -> Iterator[Case]:
    """Yield the ways in which the guest sends a body."""
    ways = {
        "until the end": answer(length=False, close=True),
        "in chunks": answer(headers=_CHUNKED, body=chunked(b"the ", b"page"), length=False),
        "in empty chunks": answer(headers=_CHUNKED, body=chunked(), length=False),
        "with extensions": answer(headers=_CHUNKED, body=b"1;a=b\r\nx\r\n0\r\n\r\n", length=False),
        "with trailers": answer(
            headers=(*_CHUNKED, (b"Trailer", b"X-Sum")),
            body=chunked(b"abc", trailers=b"X-Sum: 1\r\n"),
            length=False,
        ),
        "empty": answer(body=b""),
        "of 300 kB": answer(body=b"0123456789" * 30_000),
        "of 300 kB in chunks": answer(
            headers=_CHUNKED, body=chunked(*[b"0123456789" * 500] * 60), length=False
        ),
        "of 300 kB until the end": answer(body=b"0123456789" * 30_000, length=False, close=True),
        "as HTTP/1.0": answer(length=False, close=True, version=b"HTTP/1.0"),
        "as HTTP/1.0 with a length": answer(close=True, version=b"HTTP/1.0"),
        "early": answer(early=True),
        "early, and closes": answer(
            early=True, close=True, headers=(*STORABLE, (b"Connection", b"close"))
        ),
        "and closes": answer(close=True),
        "behind 103": answer(interim=b"HTTP/1.1 103 Hints\r\nLink: </a>; rel=preload\r\n\r\n"),
        "behind 102": answer(interim=b"HTTP/1.1 102 Processing\r\n\r\n"),
        "behind 100": answer(interim=b"HTTP/1.1 100 Continue\r\n\r\n"),
        "behind 103 twice": answer(interim=b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" * 2),
        "as an event stream": answer(headers=((b"Content-Type", b"text/event-stream"),)),
        "of two types": answer(
            headers=((b"Content-Type", b"multipart/x-mixed-replace; boundary=a"),)
        ),
    }
    for name, reply in ways.items():
        yield case(f"framing: {name}", request(), answer=reply)
        yield case(f"framing: {name}, written", write(), answer=reply)
        yield case(f"framing: {name}, HEAD", request(method=b"HEAD"), answer=reply)

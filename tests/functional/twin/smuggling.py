"""Requests whose end is ambiguous. Each hides a second one, which its client did not send."""

from __future__ import annotations

from collections.abc import Iterator

from tests.functional.twin.case import HOST, ID, PAUSE, Case, case

HIDDEN = "/hidden-"
_SECOND = (
    b"GET "
    + HIDDEN.encode()
    + ID
    + b" HTTP/1.1\r\nHost: shop.example\r\nX-Case: "
    + ID
    + b"\r\n\r\n"
)
_END = b"0\r\n\r\n"
_TE = b"Transfer-Encoding: chunked\r\n"


def _post(
    lines: bytes, body: bytes, version: bytes = b"HTTP/1.1", method: bytes = b"POST"
) -> bytes:
    start = b"%s /%s %s\r\n" % (method, ID, version)
    return start + b"Host: %s\r\nX-Case: %s\r\n" % (HOST, ID) + lines + b"\r\n" + body


def _size(number: int) -> bytes:
    return b"Content-Length: %d\r\n" % number


_LENGTHS = {
    "twice the same": b"Content-Length: 5\r\nContent-Length: 5\r\n",
    "twice": b"Content-Length: 5\r\nContent-Length: 0\r\n",
    "twice, the longer last": b"Content-Length: 0\r\nContent-Length: 5\r\n",
    "a list": b"Content-Length: 5, 0\r\n",
    "a list of the same": b"Content-Length: 5, 5\r\n",
    "a sign": b"Content-Length: +5\r\n",
    "negative": b"Content-Length: -5\r\n",
    "hexadecimal": b"Content-Length: 0x5\r\n",
    "octal": b"Content-Length: 05\r\n",
    "a fraction": b"Content-Length: 5.0\r\n",
    "letters": b"Content-Length: 5x\r\n",
    "a space inside": b"Content-Length: 5 0\r\n",
    "empty": b"Content-Length: \r\n",
    "too large": b"Content-Length: 18446744073709551621\r\n",
    "a space before the colon": b"Content-Length : 5\r\n",
    "a tab before the colon": b"Content-Length\t: 5\r\n",
    "an underscore": b"Content_Length: 5\r\n",
    "folded": b"Content-Length:\r\n 5\r\n",
    "a vertical tab": b"Content-Length: \x0b5\r\n",
    "a NUL": b"Content-Length: 5\x00\r\n",
    "a bare CR": b"Content-Length: 5\r0\r\n",
    "a bare LF": b"Content-Length: 0\nContent-Length: 5\r\n",
    "hidden by a bare LF": b"X-A: b\nContent-Length: 5\r\n",
    "hidden by a bare CR": b"X-A: b\rContent-Length: 5\r\n",
    "named by Connection": b"Connection: Content-Length\r\nContent-Length: 5\r\n",
}

_CODINGS = {
    "and a length": _size(5) + _TE,
    "and a length behind it": _TE + _size(5),
    "and a length of the whole": _size(200) + _TE,
    "xchunked": b"Transfer-Encoding: xchunked\r\n",
    "identity": b"Transfer-Encoding: identity\r\n" + _size(5),
    "identity, chunked": b"Transfer-Encoding: identity, chunked\r\n" + _size(5),
    "chunked, identity": b"Transfer-Encoding: chunked, identity\r\n" + _size(5),
    "chunked, chunked": b"Transfer-Encoding: chunked, chunked\r\n",
    "chunked twice": _TE + _TE,
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n",
    "two lines": _TE + b"Transfer-Encoding: x\r\n" + _size(5),
    "a space before the colon": b"Transfer-Encoding : chunked\r\n" + _size(5),
    "a tab before the value": b"Transfer-Encoding:\tchunked\r\n" + _size(5),
    "a vertical tab": b"Transfer-Encoding: \x0bchunked\r\n" + _size(5),
    "a form feed": b"Transfer-Encoding: chunked\x0c\r\n" + _size(5),
    "a NUL": b"Transfer-Encoding: chunked\x00\r\n" + _size(5),
    "a quote": b'Transfer-Encoding: "chunked"\r\n' + _size(5),
    "a parameter": b"Transfer-Encoding: chunked;a=b\r\n" + _size(5),
    "a comma": b"Transfer-Encoding: chunked,\r\n" + _size(5),
    "upper case": b"TRANSFER-ENCODING: CHUNKED\r\n" + _size(5),
    "an underscore": b"Transfer_Encoding: chunked\r\n" + _size(5),
    "folded": b"Transfer-Encoding:\r\n chunked\r\n" + _size(5),
    "folded into another": b"X-A: b\r\n Transfer-Encoding: chunked\r\n" + _size(5),
    "hidden by a bare LF": b"X-A: b\nTransfer-Encoding: chunked\r\n" + _size(5),
    "hidden by a bare CR": b"X-A: b\rTransfer-Encoding: chunked\r\n" + _size(5),
    "with a letter before": b"xTransfer-Encoding: chunked\r\n" + _size(5),
    "with UTF-8": b"Transfer-Encod\xc4\xb1ng: chunked\r\n" + _size(5),
    "named by Connection": b"Connection: Transfer-Encoding\r\n" + _TE + _size(5),
    "named by Connection, alone": b"Connection: close, Transfer-Encoding\r\n" + _TE,
}

_CHUNKS = {
    "a sign": b"+5\r\n",
    "0x": b"0x5\r\n",
    "a space before": b" 5\r\n",
    "no size": b"\r\n",
    "a letter": b"g\r\n",
    "too large": b"10000000000000005\r\n",
    "a bare LF": b"5\n",
    "a bare CR": b"5\rx\r\n",
    "an extension with a bare LF": b"5;a\nb\r\n",
    "a NUL": b"5\x00\r\n",
    "negative": b"-5\r\n",
}

_HEADS = {
    "a space before the first field": b" X-A: b\r\n",
    "a field without a colon": b"X-A\r\n",
    "an empty name": b": b\r\n",
    "a space in a name": b"X A: b\r\n",
    "a NUL in a value": b"X-A: a\x00b\r\n",
    "a NUL in a name": b"X-\x00A: b\r\n",
    "a bare CR in a value": b"X-A: a\rX-B: c\r\n",
    "a bare LF in a value": b"X-A: a\nX-B: c\r\n",
    "a head hidden by two LF": b"X-A: a\n\n" + _SECOND,
    "a head hidden by two CR": b"X-A: a\r\r" + _SECOND,
    "8-bit in a name": b"X-\xff: b\r\n",
}


PLAIN = {
    "length: twice the same": "RFC 9112, 6.3: the same value counts once",
    "length: a list of the same": "RFC 9112, 6.3",
    "length: octal": "RFC 9110, 8.6: digits are decimal",
    "length: an underscore*": "RFC 9110, 5.1: another field",
    "length: folded": "RFC 9112, 5.2: the fold becomes spaces",
    "length: hidden by a bare LF": "RFC 9112, 2.2: LF may end a line",
    "length: named by Connection": "RFC 9110, 7.6.1: the field belongs to all hops",
    "coding: an underscore": "RFC 9110, 5.1: another field",
    "coding: with a letter before": "RFC 9110, 5.1: another field",
    "coding: folded into another": "RFC 9112, 5.2: part of the value of X-A",
    "chunk: a bare LF*": "HAProxy reads LF as CRLF, and sends chunks of its own",
    "head: a space before the first field": "RFC 9112, 2.2: the line may be ignored",
    "head: a bare LF in a value": "RFC 9112, 2.2",
    "head: a head hidden by two LF": "RFC 9112, 2.2",
    "version: *": "RFC 9110, 2.5: a later minor version; HAProxy reads 2.0 as 1.1",
}
"""Cases in which the second request is one to every server, because the edge rewrites the first."""

KNOWN = {
    "head: a NUL in a value": "HAProxy passes NUL; RFC 9110, 5.5 forbids it. Varnish refuses it",
}
"""Faults that are not fixed yet, and that not every phase shows."""


def cases() -> Iterator[Case]:
    """Yield the cases; none needs to pass."""
    for name, lines in _LENGTHS.items():
        yield case(f"length: {name}", _post(lines, b"12345" + _SECOND), alone=True)
        yield case(f"length: {name}, read", _post(lines, _SECOND, method=b"GET"), alone=True)
    for name, lines in _CODINGS.items():
        yield case(f"coding: {name}", _post(lines, _END + _SECOND), alone=True)
        prefix = b"1\r\nx\r\n"
        yield case(f"coding: {name}, a chunk", _post(lines, prefix + _END + _SECOND), alone=True)
    yield case("coding: HTTP/1.0", _post(_TE, _END + _SECOND, b"HTTP/1.0"), alone=True)
    both = _post(_TE + _size(5), _END + _SECOND, b"HTTP/1.0")
    yield case("coding: HTTP/1.0 and a length", both, alone=True)
    for name, size in _CHUNKS.items():
        data = size + b"12345\r\n" + _END + _SECOND
        yield case(f"chunk: {name}", _post(_TE, data), alone=True)
        yield case(f"chunk: {name}, later", _post(_TE, b""), PAUSE, data, alone=True)
    yield case("chunk: longer than its size", _post(_TE, b"1\r\nxyz\r\n" + _SECOND), alone=True)
    yield case("chunk: without its end", _post(_TE, b"3\r\nabc0\r\n\r\n" + _SECOND), alone=True)
    for name, lines in _HEADS.items():
        yield case(f"head: {name}", _post(lines, _SECOND, method=b"GET"), alone=True)
    for name, version in (("1.2", b"HTTP/1.2"), ("2.0", b"HTTP/2.0"), ("0.9", b"HTTP/0.9")):
        yield case(f"version: {name}", _post(b"", _SECOND, version, b"GET"), alone=True)
    for name, target in (
        ("a space", b"/a b"),
        ("a tab", b"/a\tb"),
        ("a CR", b"/a\rb"),
        ("a NUL", b"/\x00"),
    ):
        data = _post(b"", b"", method=b"GET").replace(b"/" + ID, target + ID, 1)
        yield case(f"target: {name}", data + _SECOND, alone=True)
    data = _post(b"Expect: 100-continue\r\n" + _size(5), _SECOND)
    yield case("expect: a body that is a request", data, alone=True)

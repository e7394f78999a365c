"""One case of the conformance twin: the bytes of a client, and the guest's answer."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Final

ID = b"@ID@"
"""Stands for the mark of the case, in all bytes of the client and the guest."""

WIDTH: Final = 12
"""The length of a mark."""

WAIT = b"\0wait"
"""A step of a client that waits for an interim response, or for one second."""

HALF_CLOSE = b"\0half-close"
"""A step of a client that ends its side of the connection."""

PAUSE = b"\0pause"
"""A step that lets everything sent so far arrive: 50 ms."""

HOST = b"shop.example"

Header = tuple[bytes, bytes]
Headers = tuple[Header, ...]

STORABLE: Headers = ((b"Cache-Control", b"public, max-age=600"), (b"Content-Type", b"text/plain"))


@dataclasses.dataclass(frozen=True)
class Answer:
    """The bytes that the guest sends when it has read the request."""

    head: bytes
    body: bytes = b""
    interim: bytes = b""  # before the request's body is read
    early: bool = False  # the whole answer before the body
    close: bool = False  # the connection afterwards
    echo: bool = False  # send back all bytes that follow: another protocol
    abort: bool = False  # close before the whole answer


def answer(
    status: bytes = b"200 OK",
    body: bytes = b"the page of " + ID,
    headers: Headers = STORABLE,
    *,
    length: bool = True,
    version: bytes = b"HTTP/1.1",
    **fields: bool | bytes,
) -> Answer:
    """Return an answer with a Content-Length."""
    lines = [*headers, (b"Server", b"twin")]
    if length:
        lines.append((b"Content-Length", b"%d" % len(body.replace(ID, b"x" * WIDTH))))
    text = b"".join(b"%s: %s\r\n" % line for line in lines)
    return Answer(b"%s %s\r\n%s\r\n" % (version, status, text), body, **fields)  # type: ignore[arg-type]


def chunked(*chunks: bytes, trailers: bytes = b"") -> bytes:
    """Return a body in chunks."""
    text = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks)
    return text + b"0\r\n" + trailers + b"\r\n"


def request(
    target: bytes = b"/" + ID,
    method: bytes = b"GET",
    headers: Headers = (),
    body: bytes = b"",
    *,
    version: bytes = b"HTTP/1.1",
    host: bytes | None = HOST,
) -> bytes:
    """Return a request that names its case. ``headers`` says how long the body is."""
    lines = [] if host is None else [(b"Host", host)]
    lines += [(b"X-Case", ID), *headers]
    text = b"".join(b"%s: %s\r\n" % line for line in lines)
    return b"%s %s %s\r\n%s\r\n" % (method, target, version, text) + body


def write(method: bytes = b"POST", body: bytes = b"name=value", headers: Headers = ()) -> bytes:
    """Return a request with a body and its length."""
    return request(
        method=method, headers=((b"Content-Length", b"%d" % len(body)), *headers), body=body
    )


@dataclasses.dataclass(frozen=True)
class Case:
    """The steps of one client on one connection."""

    name: str
    mark: str  # takes the place of ID
    sent: tuple[bytes, ...]
    answer: Answer
    methods: tuple[str, ...]  # of the responses that are expected
    alone: bool  # no proxy has to pass it: compare the edge with itself only


def case(
    name: str,
    *sent: bytes,
    answer: Answer | None = None,
    responses: int = 1,
    alone: bool = False,
) -> Case:
    """Return a case. All its requests have the method of the first one."""
    mark = hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest()[:WIDTH].encode()
    reply = _DEFAULT if answer is None else answer
    named = {part: getattr(reply, part).replace(ID, mark) for part in ("head", "body", "interim")}
    return Case(
        name,
        mark.decode(),
        tuple(data.replace(ID, mark) for data in sent),
        dataclasses.replace(reply, **named),
        (sent[0].split(b" ", 1)[0].decode(errors="replace"),) * responses,
        alone,
    )


_DEFAULT = answer()

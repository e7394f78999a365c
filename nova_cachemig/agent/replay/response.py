"""Parses a guest's responses, as leniently as the edge does when nothing migrates."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from typing import Final

import httptools

from nova_cachemig.agent.journal.upload import Upload
from nova_cachemig.agent.replay.bodies import ResponseBodies
from nova_cachemig.agent.replay.live import LiveBody
from nova_cachemig.model.headers import end_to_end
from nova_cachemig.model.write import Body, GuestResponse

_KEEP_ALIVE_TIMEOUT = re.compile(r"timeout=(\d+)")
# A guest that exceeds these has responded, but not with HTTP: the client gets 502.
_MAX_HEAD: Final = 65536  # bytes of a head, of the trailers, or of the lines between two chunks
_MAX_FIELDS: Final = 288  # as many as in the edge
_MAX_INTERIM: Final = 16  # responses 1xx to one request
_SLICE: Final = 16384  # bytes parsed at a time: the parser keeps an incomplete field

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class NotHttp(ValueError):
    """The guest's bytes are no HTTP response."""


class TooLarge(ValueError):
    """The body of the guest's response exceeds the limit."""


@dataclasses.dataclass(slots=True)  # frozen, it takes three times as long to make
class Parsed:
    """A complete response, and its statements about the connection."""

    response: GuestResponse
    keep_alive: bool
    announces_close: bool  # with "Connection: close"
    idle_timeout: float | None  # seconds, from Keep-Alive
    upload: Upload | None = None  # the body, if it is not in memory


def not_http_response() -> GuestResponse:
    """Return the response for the client of a request to which the guest responded no HTTP."""
    problem = {"title": "Bad Gateway", "status": 502, "detail": "The server's response is invalid."}
    headers = (
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("cachemig-write", "responded; the response is not HTTP"),
    )
    return GuestResponse(502, headers, Body.of(json.dumps(problem).encode() + b"\n"))


class ResponseReader:
    """The responses of one connection."""

    def __init__(
        self,
        max_response: int,
        on_begin: Callable[[], None],
        on_response: Callable[[Parsed], None],
        bodies: ResponseBodies | None = None,
        on_large: Callable[[], bool] = lambda: False,
    ) -> None:
        """``max_response``: bytes of a response's body that are kept.

        ``bodies`` decides which bodies are kept in memory; without it, all are. ``on_large`` is
        called when a body exceeds the limit. It may call :meth:`hand_over`, and then returns True.
        ``on_begin`` is called at a response's first byte, ``on_response`` at its end.
        """
        self._max_response = max_response
        self._on_response = on_response
        self._on_begin = on_begin
        self._bodies = bodies
        self._on_large = on_large
        self.upload: Upload | None = None  # the body, if it is not in memory
        self.flush_due = False  # flush the upload before the next bytes are fed
        self.live: LiveBody | None = None  # takes the present response's body
        self._parser = httptools.HttpResponseParser(self)
        if hasattr(self._parser, "set_dangerous_leniencies"):  # since httptools 0.7
            # Folded fields, Content-Length beside chunks, and LF without CR: proxies pass them.
            self._parser.set_dangerous_leniencies(
                lenient_headers=True,
                lenient_chunked_length=True,
                lenient_optional_cr_before_lf=True,
            )
        self._interim = 0  # responses 1xx to the present request
        self._reset()

    @property
    def in_response(self) -> bool:
        """Whether some of a response has arrived, but not its end."""
        return self._began or self._interim > 0

    def feed(self, data: bytes) -> None:
        """Parse the next bytes. Raises NotHttp or TooLarge."""
        for start in range(0, len(data), _SLICE):
            piece = data[start : start + _SLICE] if len(data) > _SLICE else data
            self._overhead += len(piece)
            self._parse(piece)
            if self._overhead > _MAX_HEAD:
                raise NotHttp(f"its head or trailers have more than {_MAX_HEAD} bytes")

    def _parse(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as exc:
            raise NotHttp("its response switches to another protocol") from exc
        except httptools.HttpParserCallbackError as exc:
            raise exc.__context__ or exc from exc
        except httptools.HttpParserError as exc:
            raise NotHttp(f"its response is not HTTP: {exc}") from exc

    @property
    def in_body(self) -> bool:
        """Whether the head of a final response has arrived, but not all of its body."""
        return self._head_complete and self._parser.get_status_code() >= 200

    @property
    def length(self) -> int | None:
        """Bytes of the present response's body; None if only its end shows them."""
        fields = dict(self._headers)
        value = fields.get("content-length", "")
        return int(value) if value.isdecimal() and "transfer-encoding" not in fields else None

    @property
    def too_large(self) -> str:
        """Why a body that exceeds the limit is not kept."""
        return f"its body was too large to keep (more than {self._max_response} bytes)"

    def hand_over(self, live: LiveBody) -> tuple[Upload | None, bytes]:
        """Let ``live`` take the rest of the body. Return what has arrived of it."""
        upload, data = self.upload, b"".join(self._body)
        self.upload, self.flush_due, self.live = None, False, live
        self._body.clear()
        return upload, data

    def end(self) -> None:
        """The connection has ended, and with it a response without a length."""
        framed = any(name in {"content-length", "transfer-encoding"} for name, _ in self._headers)
        if self._head_complete and not framed:
            self._finish(keep_alive=False)

    def cut(self, why: str) -> GuestResponse:
        """Return the incomplete response: its head if that is complete, else a 502."""
        if not self._head_complete:
            return not_http_response()
        note = ("cachemig-write", f"responded; {why}")
        return GuestResponse(self._parser.get_status_code(), (*end_to_end(self._headers), note))

    def _reset(self) -> None:
        self._began = False
        self._overhead = 0  # bytes since the last part of a body, or since the response began
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self.upload, self.flush_due = None, False
        self._length = 0
        self._fields = 0  # of the head, then of the trailers
        self._head_complete = False

    # --- httptools

    def on_message_begin(self) -> None:
        self._began = True
        self._on_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        if self._fields > _MAX_FIELDS:
            raise NotHttp(f"its response has more than {_MAX_FIELDS} fields")
        if self._head_complete:
            return  # trailers may be discarded: RFC 9110, section 6.5.1
        text = value.decode("latin-1")
        if not text.isprintable():  # faster than the expression
            text = _CONTROL.sub(" ", text)
        self._headers.append((name.decode("latin-1").lower(), text))

    def on_headers_complete(self) -> None:
        self._head_complete = True
        self._fields = self._overhead = 0

    def on_body(self, data: bytes) -> None:
        self._overhead = 0
        self._length += len(data)
        if self.live is None and self._length > self._max_response and not self._on_large():
            raise TooLarge
        if self.live is not None:
            self.live.feed(data)
            return
        if self.upload is not None:
            self.flush_due |= self.upload.add(data)
            return
        self._body.append(data)
        if self._bodies is not None and not self._bodies.fits(self._length):
            self.upload = self._bodies.upload()
            self.flush_due = self.upload.add(b"".join(self._body))
            self._body.clear()

    def on_message_complete(self) -> None:
        self._finish(keep_alive=self._parser.should_keep_alive())

    def _finish(self, *, keep_alive: bool) -> None:
        status = self._parser.get_status_code()
        if status == 101:
            return  # HttpParserUpgrade follows
        if 100 <= status < 200:  # interim: the final response follows
            self._interim += 1
            if self._interim > _MAX_INTERIM:
                raise NotHttp(f"it sends more than {_MAX_INTERIM} interim responses")
            self._reset()
            return
        self._interim = 0
        if self.live is not None:
            live, self.live = self.live, None
            self._reset()
            live.end(whole=True)
            return
        data = b"".join(self._body)
        body = Body.of(data) if self._bodies is None else self._bodies.in_memory(data)
        headers = end_to_end(self._headers)
        of_connection = len(headers) < len(self._headers)  # else no field is about the connection
        parsed = Parsed(
            GuestResponse(status, headers, body),
            keep_alive,
            of_connection and self._announces_close(),
            self._idle_timeout() if of_connection else None,
            self.upload,
        )
        self._reset()  # the connection's end must not count as another response
        self._on_response(parsed)

    def _announces_close(self) -> bool:
        return any(
            name == "connection" and "close" in value.lower() for name, value in self._headers
        )

    def _idle_timeout(self) -> float | None:
        for name, value in self._headers:
            if name == "keep-alive" and (found := _KEEP_ALIVE_TIMEOUT.search(value)):
                return float(found[1])
        return None

"""A guest: a process that keeps pages, logs what it does with each write, and misbehaves by seed.

Its log outlives it: a new process continues with the pages of the former one. Each line is a JSON
list ``[seconds, kind, reception, …]``; see :mod:`tests.workload.guestlog`.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import random
import signal
import socket
import sys
import time
import weakref
from pathlib import Path

from tests.workload.behaviour import BEFORE_CLOSE, Behaviour, Way, behaviour
from tests.workload.responder import Received, Responder, response
from tests.workload.wire import LIMIT, Head, Malformed, content, read_chunks, read_head

KEYED = frozenset({"POST", "PATCH"})  # as nova_cachemig.guest does by default
_PAD = 40_000  # bytes of a large page
_RENEWALS = 0.2  # share of the responses that renew the session, if it is one that is renewed
_CACHE_CONTROL = ("max-age=5", None, "no-store", "max-age=0", "private", "max-age=60", "no-cache",
                  None)  # fmt: skip


@dataclasses.dataclass(slots=True)
class Page:
    version: int = 0  # number of changes
    gone: bool = False


class Log:
    """Appends lines. Each is in the kernel before the guest goes on, so it survives ``kill -9``."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def add(self, *facts: object) -> None:
        os.write(self._fd, json.dumps([time.monotonic(), *facts]).encode() + b"\n")


def identity(head: Head) -> str:
    """Return the login of a request, as the guest sees it."""
    for name in ("authorization", "x-api-key"):
        if (value := head.get(name)) is not None:
            return f"{name}={value}"
    for pair in (head.get("cookie") or "").split(";"):
        if pair.strip().startswith("sessionid="):
            return pair.strip().partition("~")[0]
    return "nobody"


def next_session(head: Head) -> str | None:
    """Return a login's next session cookie, as an application gives one from time to time."""
    for pair in (head.get("cookie") or "").split(";"):
        user, tilde, number = pair.strip().partition("~")
        if tilde and user.startswith("sessionid="):
            return f"set-cookie: {user}~{int(number) + 1}"
    return None


class Guest:
    """``honours_keys``: a POST or PATCH with a known key is not applied again."""

    def __init__(
        self, path: Path, seed: int, journal_address: str, *, honours_keys: bool,
        without: frozenset[str] = frozenset(),
    ) -> None:  # fmt: skip
        self._seed = seed
        self._journal_address = journal_address
        self._honours_keys = honours_keys
        self._without = without
        self._pages: dict[str, Page] = {}
        self._keys: dict[str, tuple[str, int] | None] = {}  # → write and status; None: in progress
        self._tries: dict[str, int] = {}
        self._receptions = itertools.count()
        self._latest: weakref.WeakKeyDictionary[asyncio.StreamWriter, str] = (
            weakref.WeakKeyDictionary()
        )  # → the way of its latest write
        self._random = random.Random(f"{seed}:reads:{os.getpid()}")
        self._recover(path)
        self._log = Log(path)
        self._log.add("up", os.getpid())

    def _recover(self, path: Path) -> None:
        if not path.exists():
            return
        for line in path.read_text().splitlines():
            _, kind, *facts = json.loads(line)
            if kind == "early":
                self._tries[facts[0]] = self._tries.get(facts[0], 0) + 1
            elif kind == "got":
                self._tries[facts[1]] = self._tries.get(facts[1], 0) + 1
            elif kind == "did":
                _, write, key, status, changes = facts
                for url, version, gone in changes:
                    self._pages[url] = Page(version, gone)
                if key:
                    self._keys[key] = (write, status)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        connection = writer.transport.get_extra_info("socket")
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        broken = (OSError, asyncio.IncompleteReadError, Malformed, RuntimeError)  # uvloop's
        with contextlib.suppress(*broken):
            while (head := await read_head(reader)) is not None:
                if not await self._request(head, reader, writer):
                    break
        with contextlib.suppress(OSError):
            writer.close()

    async def _request(
        self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Return whether the connection may be used again."""
        method, url, version = head.first.split(" ")
        if url.startswith("http://"):  # the absolute form, which each server must accept
            url = "/" + url.removeprefix("http://").partition("/")[2]
        if method in {"GET", "HEAD"}:
            return await self._read(method, url, head, writer) and version == "HTTP/1.1"
        name = head.get("x-write") or "?"
        number = self._tries.get(name, 0)
        what = behaviour(self._seed, name, number, self._without)
        if what.way is Way.EARLY:
            await self._refuse_early(name, head, writer)
            return False
        if "100-continue" in head.tokens("expect"):
            if what.way is Way.CUT:
                # HAProxy 2.6 does not notice the end of a connection whose last bytes were a 100
                # and a part of the response; its client waits for [engine] guest_timeout.
                what = Behaviour(Way.PLAIN)
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in head.tokens("transfer-encoding"):
            body = await read_chunks(reader)
        else:
            body = await reader.readexactly(int(head.get("content-length") or 0))
        reception = f"{os.getpid()}.{next(self._receptions)}"
        write = Received(reception, name, method, url, head, self._key_of(method, head))
        self._tries[name] = number + 1
        intact = not body or body == content(name, len(body))
        peer = writer.get_extra_info("peername")[0]
        via = "journal" if peer == self._journal_address else "edge"
        after, self._latest[writer] = self._latest.get(writer, ""), what.way
        self._log.add("got", write.reception, name, via, intact, what.way, after)
        try:
            keep = await self._write(write, what, writer)
        except OSError:
            self._log.add("lost", write.reception)
            return False
        self._log.add("said", write.reception)
        return keep and version == "HTTP/1.1"

    async def _refuse_early(self, name: str, head: Head, writer: asyncio.StreamWriter) -> None:
        self._tries[name] = self._tries.get(name, 0) + 1
        self._log.add("early", name)
        fields = self._fields(name, head, "no")
        writer.write(response(413, fields, b"no", "content-length: 2", "connection: close"))
        await writer.drain()

    # --- writes

    def _key_of(self, method: str, head: Head) -> str:
        key = head.get("idempotency-key")
        if key is None or not self._honours_keys or method not in KEYED:
            return ""
        return f"{identity(head)} {key}"

    async def _write(self, write: Received, what: Behaviour, writer: asyncio.StreamWriter) -> bool:
        if write.key:
            if write.key in self._keys:
                known = self._keys[write.key]
                await self._repeat(write, known, writer)
                return True
            self._keys[write.key] = None
        try:
            if what.way is Way.SLOW:
                await asyncio.sleep(what.seconds)
            applied = self._apply(write, what) if what.applies else "no"
        finally:
            if write.key and self._keys[write.key] is None:
                del self._keys[write.key]
        await Responder(write, what, writer, self._fields(write.name, write.head, applied)).run()
        return what.way not in BEFORE_CLOSE

    def _apply(self, write: Received, what: Behaviour) -> str:
        """Change the pages; return the version of the page of the write."""
        urls = [write.url]
        if write.url.startswith("/act/"):
            urls.append(write.url.replace("/act/", "/p/"))
        changes = []
        for url in urls:
            page = self._pages.setdefault(url, Page())
            page.version += 1
            page.gone = write.method == "DELETE"
            changes.append((url, page.version, page.gone))
        status = 500 if what.way is Way.ERROR else 200
        self._log.add("did", write.reception, write.name, write.key, status, changes)
        if write.key:
            self._keys[write.key] = (write.name, status)
        return str(changes[0][1])

    async def _repeat(
        self, write: Received, known: tuple[str, int] | None, writer: asyncio.StreamWriter
    ) -> None:
        if known is None:
            fields = self._fields(write.name, write.head, "no")
            data = response(409, fields, b"", "content-length: 0", "retry-after: 1")
        else:
            name, status = known
            fields = self._fields(name, write.head, "again")
            data = response(status, fields, b"", "content-length: 0", "idempotent-replayed: true")
        writer.write(data)
        await writer.drain()

    def _fields(self, name: str, head: Head, applied: str) -> list[str]:
        login = identity(head)
        fields = [f"x-guest: {os.getpid()}", f"x-write: {name}", f"x-login: {login}",
                  f"x-applied: {applied}"]  # fmt: skip
        if login.startswith("sessionid="):
            fields.append(f"set-cookie: seen={login.partition('=')[2]}")
        return fields + self._renewal(head)

    def _renewal(self, head: Head) -> list[str]:
        cookie = next_session(head)
        return [cookie] if cookie is not None and self._random.random() < _RENEWALS else []

    # --- reads

    async def _read(self, method: str, url: str, head: Head, writer: asyncio.StreamWriter) -> bool:
        way = self._random.random()
        if "die" not in self._without and way < 0.004:
            return False
        if way < 0.1:
            await asyncio.sleep(self._random.random() * 0.04)
        if url == "/me":
            fields = ["cache-control: private", f"x-login: {identity(head)}", "vary: cookie"]
            fields += self._renewal(head)
            data = response(200, fields, b"me", "content-length: 2")
        else:
            data = self._page(method, url, head)
        writer.write(data)
        await writer.drain()
        return way < 0.97

    def _page(self, method: str, url: str, head: Head) -> bytes:
        page = self._pages.get(url, Page())
        number = int(url.rpartition("/")[2]) if url.rpartition("/")[2].isdigit() else 0
        control = _CACHE_CONTROL[number % len(_CACHE_CONTROL)]
        fields = [f"x-guest: {os.getpid()}", f"x-page: {url}", f"x-version: {page.version}"]
        fields += [f'etag: "{page.version}"'] + ([f"cache-control: {control}"] if control else [])
        fields += self._renewal(head)
        if head.get("if-none-match") == f'"{page.version}"':
            return response(304, fields, b"")
        body = b"%d\n" % page.version + (b"x" * _PAD if number % 8 == 7 else b"")
        status = 404 if page.gone or not page.version else 200
        return response(status, fields, b"" if method == "HEAD" else body,
                         f"content-length: {len(body)}")  # fmt: skip


async def _main(options: argparse.Namespace) -> None:
    guest = Guest(
        options.log,
        options.seed,
        options.journal_address,
        honours_keys=options.honours_keys,
        without=frozenset(filter(None, options.without.split(","))),
    )
    server = await asyncio.start_server(
        guest.serve, "0.0.0.0", options.port, limit=LIMIT, backlog=512, reuse_address=True
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    sys.stdout.write("up\n")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):
        await server.serve_forever()


def main() -> None:
    """Serve until SIGTERM or SIGKILL. Prints "up" when it listens."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--journal-address", required=True, help="the agent's source address")
    parser.add_argument("--honours-keys", action="store_true")
    parser.add_argument("--without", default="", help="ways that it does not use")
    asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    main()

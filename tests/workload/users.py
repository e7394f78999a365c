"""The users of a service: those who write, those who read, and the log of their responses."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import random
import time

from tests.workload.client import Dropped, HttpClient, Left, Manner, Reply
from tests.workload.records import Outcome, Read, Try, Write
from tests.workload.wire import content

HOST = "Host: shop.example"
PAGES = 24  # pages that all users of a service share
_METHODS = ("PUT", "PUT", "POST", "POST", "POST", "PATCH", "DELETE", "MOVE")
_LEAVES_WITHIN = 0.15  # seconds for which a client waits that leaves before the response
_KEYED_TRIES = 12
_NEED_BODY = frozenset({"chunked", "slow", "leave-body", "expect"})


@dataclasses.dataclass(slots=True)
class Log:
    """Of one service."""

    writes: list[Write] = dataclasses.field(default_factory=list)
    reads: list[Read] = dataclasses.field(default_factory=list)
    crossed: list[str] = dataclasses.field(default_factory=list)  # sentences
    statuses: dict[str, int] = dataclasses.field(default_factory=dict)

    def count(self, what: str) -> None:
        """Count for the report."""
        self.statuses[what] = self.statuses.get(what, 0) + 1


@dataclasses.dataclass(frozen=True, slots=True)
class Profile:
    """A user. ``login``: the header line that identifies it; empty: only its address does."""

    name: str
    service: str
    port: int
    address: str
    login: str
    keyed: bool
    patience: float

    @property
    def identity(self) -> str:
        """Return what the guest sees of :attr:`login`."""
        name, _, value = self.login.partition(": ")
        if not name:
            return "nobody"
        return value.partition("~")[0] if name == "Cookie" else f"{name.lower()}={value}"


class Session:
    """The login of a user, as the responses of the guest leave it."""

    def __init__(self, profile: Profile, log: Log) -> None:
        self.profile = profile
        self.log = log
        self._login = profile.login

    def fields(self) -> list[str]:
        """Return the header lines that identify the user."""
        return [self._login] if self._login else []

    def learn(self, reply: Reply) -> None:
        """Take the cookies of a response. Each must be the user's own."""
        user = self.profile.identity.removeprefix("sessionid=")
        for value in reply.head.fields.get("set-cookie", ()):
            if value.partition("=")[2].partition("~")[0] != user:
                self.log.crossed.append(f"{self.profile.name}: gets the cookie {value}")
            elif value.startswith("sessionid="):
                self._login = f"Cookie: {value}"


class Writer:
    """Sends one write after the other. A keyed one repeats a write until it has its response."""

    def __init__(self, profile: Profile, log: Log, seed: int, without: frozenset[str]) -> None:
        self._profile = profile
        self._session = Session(profile, log)
        self._log = log
        self._random = random.Random(f"{seed}:{profile.name}")
        self._without = without
        self._http = HttpClient(profile.port, profile.address, profile.patience)
        self._number = 0
        self._latest = "/p/0"

    async def run(self, stop: asyncio.Event) -> None:
        """Write until ``stop`` is set."""
        while not stop.is_set():
            await self._one()
            if self._random.random() < 0.2:
                await self._own_read()
            if self._random.random() < 0.1:
                self._http.close()
            await asyncio.sleep(self._random.random() * 0.08)
        self._http.close()

    async def _one(self) -> None:
        profile, draw = self._profile, self._random
        self._number += 1
        name = f"{profile.name}-{self._number}"
        method = draw.choice(_METHODS)
        url = draw.choice((f"/p/{draw.randrange(PAGES)}",) * 3 + (f"/doc/{name}",))
        if method == "POST" and draw.random() < 0.4:
            url = f"/act/{draw.randrange(PAGES)}"
        size = 0 if method == "DELETE" else self._size()
        write = Write(name, profile.name, profile.service, method, url, keyed=profile.keyed)
        self._log.writes.append(write)
        self._latest = url.replace("/act/", "/p/")
        body = content(name, size) if size else b""
        fields = [f"X-Write: {name}"]
        nameless = "nameless" not in self._without and draw.random() < 0.03
        if not nameless:
            fields.append(HOST)
        if profile.keyed:
            # The same keys as other users with a login: only the login tells them apart.
            own = "" if profile.login else f"{profile.name}-"
            fields.append(f'Idempotency-Key: "{own}{self._number}"')
        if draw.random() < 0.1:
            fields.append("Prefer: respond-async")
        for _ in range(_KEYED_TRIES if profile.keyed else 1):
            manner = Manner("nameless", old=True) if nameless else self._manner(body)
            if await self._try(write, fields, body, manner):
                break
            await asyncio.sleep(0.05 + draw.random() * 0.2)
        if write.location is not None and draw.random() < 0.3:
            await self._follow(write)

    def _size(self) -> int:
        luck = self._random.random()
        if luck < 0.02:
            return self._random.randrange(70_000, 300_000)
        return self._random.randrange(10, 3000)

    def _manner(self, body: bytes) -> Manner:
        draw = self._random
        kinds = ["plain", "chunked", "slow", "leave-body", "leave", "expect", "old", "absolute"]
        kind = draw.choices(kinds, [70, 8, 5, 3, 4, 5, 5, 2])[0]
        if kind in self._without or (not body and kind in _NEED_BODY):
            kind = "plain"
        if kind == "slow":
            pause = draw.choice((0.02, 0.05, 0.3))
            return Manner("slow", chunked=draw.random() < 0.5, pieces=4, pause=pause)
        if kind == "leave-body":
            chunked = draw.random() < 0.5
            return Manner("leave-body", chunked=chunked, pieces=3, pause=0.02, leave="body")
        if kind == "leave":
            return Manner("leave", leave="response", pause=draw.random() * _LEAVES_WITHIN)
        return Manner(kind, chunked=kind == "chunked", expect=kind == "expect", old=kind == "old")

    async def _try(self, write: Write, fields: list[str], body: bytes, manner: Manner) -> bool:
        """Return whether the outcome is known."""
        one = Try(time.monotonic(), manner=manner.name)
        write.tries.append(one)
        try:
            target = f"http://shop.example{write.url}" if manner.name == "absolute" else write.url
            identified = [*fields, *self._session.fields()]
            reply = await self._http.exchange(write.method, target, identified, body, manner)
        except Left:
            one.outcome = Outcome.LEFT
        except Dropped as exc:
            one.outcome, one.detail = Outcome.DROPPED, str(exc)
        except TimeoutError:
            one.outcome = Outcome.STUCK
        else:
            one.status = reply.status
            self._session.learn(reply)
            one.outcome = self._judge(write, reply)
            if one.outcome is not Outcome.GUEST:
                one.detail = reply.body[:200].decode("latin-1")
        one.whole, one.reused = self._http.whole, self._http.reused
        one.done_at = time.monotonic()
        told = one.detail if one.outcome in {Outcome.REFUSED, Outcome.UNKNOWN} else ""
        self._log.count(f"{one.outcome} {one.status or ''} {told}".strip())
        if not write.keyed:
            return True
        return one.outcome is Outcome.GUEST or one.outcome is Outcome.ACCEPTED

    def _judge(self, write: Write, reply: Reply) -> Outcome:
        if reply.head.get("x-guest") is not None:
            self._check_identity(write, reply)
            return Outcome.GUEST if reply.whole else Outcome.UNKNOWN
        location = reply.head.get("location") or ""
        if location.startswith("/.well-known/cachemig/writes/"):
            write.location = location
            write.promised = write.promised or reply.status == 202
            return Outcome.ACCEPTED if reply.status == 202 else Outcome.DOUBT
        if reply.status in {500, 502, 504}:
            return Outcome.UNKNOWN
        return Outcome.REFUSED

    def _check_identity(self, write: Write, reply: Reply) -> None:
        found = (reply.head.get("x-write"), reply.head.get("x-login"))
        wanted = (write.id, self._profile.identity)
        text = reply.body.partition(b" ")[0].decode("latin-1")
        if found != wanted:
            self._log.crossed.append(f"{write.id}: response to {found} instead of {wanted}")
        elif reply.whole and text not in {"", "no", write.id}:
            self._log.crossed.append(f"{write.id}: the body is that of {text}")

    async def _follow(self, write: Write) -> None:
        """Ask for the status of a write for a while, as a patient user does."""
        for _ in range(10):
            await follow(write, self._http, self._log)
            if write.state not in {None, "accepted"}:
                return
            await asyncio.sleep(0.3)

    async def _own_read(self) -> None:
        """Read the page of the latest write: the user must find what he has written."""
        await read(self._latest, self._http, self._session, None)


async def follow(write: Write, http: HttpClient, log: Log) -> None:
    """Ask the status URL once; set the state."""
    assert write.location is not None
    try:
        reply = await http.exchange("GET", write.location, [HOST], b"", Manner())
    except (Dropped, TimeoutError):
        return
    state = reply.head.get("cachemig-write")
    if state is not None:
        name = reply.head.get("x-write")
        if name is not None and name != write.id:
            log.crossed.append(f"{write.id}: the status URL has the response to {name}")
        write.state = state
    elif reply.status == 404:
        write.state = "unknown"
    elif reply.head.get("x-guest") is not None:
        log.crossed.append(f"{write.id}: the guest has responded to its status URL")
    elif reply.status in {200, 202}:
        write.state = str(json.loads(reply.body)["state"])


async def read(url: str, http: HttpClient, session: Session, etag: str | None) -> str | None:
    """Read a page once and log its version; return its ETag."""
    profile, log = session.profile, session.log
    fields = [HOST, *session.fields()]
    if etag is not None:
        fields.append(f"If-None-Match: {etag}")
    sent_at = time.monotonic()
    try:
        reply = await http.exchange("GET", url, fields, b"", Manner())
    except Dropped:
        log.count("read dropped")
        return None
    except TimeoutError:
        log.count("read stuck")
        return None
    log.count(f"read {reply.status}")
    session.learn(reply)
    page, version = reply.head.get("x-page"), reply.head.get("x-version")
    if version is None or not reply.whole:
        return None
    if page != url:
        log.crossed.append(f"{profile.name}: {page} instead of {url}")
    if reply.status in {200, 404} and int(reply.body.partition(b"\n")[0]) != int(version):
        log.crossed.append(f"{profile.name}: head and body of {url} are of two versions")
    source = reply.head.get("cache-status") or ""
    times = (sent_at, time.monotonic())
    log.reads.append(Read(profile.name, profile.service, url, *times, int(version), source))
    return reply.head.get("etag")


class Reader:
    """Reads pages that others write."""

    def __init__(self, profile: Profile, log: Log, seed: int) -> None:
        self._profile = profile
        self._session = Session(profile, log)
        self._random = random.Random(f"{seed}:{profile.name}")
        self._http = HttpClient(profile.port, profile.address, profile.patience)

    async def run(self, stop: asyncio.Event) -> None:
        """Read until ``stop`` is set."""
        etags: dict[str, str | None] = {}
        while not stop.is_set():
            if self._random.random() < 0.1:
                await self._me()
            else:
                kind = "act" if self._random.random() < 0.15 else "p"
                url = f"/{kind}/{self._random.randrange(PAGES)}"
                known = etags.get(url) if self._random.random() < 0.3 else None
                etags[url] = await read(url, self._http, self._session, known)
            await asyncio.sleep(self._random.random() * 0.04)
        self._http.close()

    async def _me(self) -> None:
        fields = [HOST, *self._session.fields()]
        try:
            reply = await self._http.exchange("GET", "/me", fields, b"", Manner())
        except (Dropped, TimeoutError):
            return
        self._session.learn(reply)
        login = reply.head.get("x-login")
        if login is not None and login != self._profile.identity:
            self._session.log.crossed.append(f"{self._profile.name}: /me is that of {login}")

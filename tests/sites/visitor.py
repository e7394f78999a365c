"""A visitor without a browser: cookies, kept connections, embedded files, waits between clicks."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import random
import re
import ssl
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import httpx

from tests.sites.record import Exchange, Log, Write

if TYPE_CHECKING:
    from tests.sites.apps.base import Application

PATIENCE = 40.0  # seconds
_CONNECTIONS = 6  # of a browser, to one host
_ANALYTICS = 0.85  # share of the visitors who accept cookies of statistics
_EMBEDDED = re.compile(
    r"""<(?:link\b[^>]*\brel=["'](?:stylesheet|icon|preload)["'][^>]*\bhref|script\b[^>]*\bsrc|img\b[^>]*\bsrc)="""
    r"""["']([^"']+)["']"""
    r"""|<link\b[^>]*\bhref=["']([^"']+)["'][^>]*\brel=["'](?:stylesheet|icon)["']""",
    re.IGNORECASE,
)
_BROWSERS = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Safari/605.1.15",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like "
    "Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/142.0.0.0 Mobile Safari/537.36",
)
_LANGUAGES = (
    *("en-US,en;q=0.9",) * 6,
    "en-GB,en;q=0.8",
    "de-DE,de;q=0.9,en;q=0.8",
    "fr-FR,fr;q=0.9",
)
_ACCEPT = {
    "page": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "style": "text/css,*/*;q=0.1",
    "image": "image/avif,image/webp,image/apng,image/*,*/*;q=0.8",
    "api": "application/json, text/plain, */*",
}
_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, but slow to make


@dataclasses.dataclass(frozen=True)
class Target:
    """Where the visitors connect, and the address from which the number-th of them does."""

    address: str
    port: int
    sources: str = ""

    def source(self, number: int) -> str | None:
        """Return the address of a visitor."""
        if not self.sources:
            return None
        return self.sources.format(number // 200 % 200, number % 200 + 1)


@dataclasses.dataclass(frozen=True)
class Reply:
    """A complete response; ``status`` is 0 without one."""

    status: int = 0
    text: str = ""
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)


class Leaves(Exception):
    """The visitor ends his session."""


class Visitor:
    """``name``: the user's login, if he has one. ``random``: for all that he decides."""

    def __init__(
        self, app: Application, target: Target, number: int, log: Log, name: str, seed: str
    ) -> None:
        self.app, self.log, self.name = app, log, name
        self.random = random.Random(f"{seed}:{number}")
        self.logged_in = False
        self.identities = {name}
        self._expected: dict[str, list[str]] = {}
        self._loaded: set[str] = set()
        transport = httpx.AsyncHTTPTransport(
            verify=_TLS,
            local_address=target.source(number),
            limits=httpx.Limits(max_connections=_CONNECTIONS, keepalive_expiry=60.0),
        )
        self._http = httpx.AsyncClient(
            transport=transport,
            timeout=PATIENCE,
            base_url=f"http://{target.address}:{target.port}",
            headers={
                "Host": app.host,
                "User-Agent": self.random.choice(_BROWSERS),
                "Accept-Language": self.random.choice(_LANGUAGES),
                "Accept-Encoding": "gzip, deflate",
            },
            trust_env=False,
        )
        if self.random.random() < _ANALYTICS:
            for key, value in analytics(self.random).items():
                self._http.cookies.set(key, value)

    async def close(self) -> None:
        """End all connections."""
        with contextlib.suppress(Exception):
            await self._http.aclose()

    async def think(self, mean: float = 1.2) -> None:
        """Read for a while, or leave if the run ends."""
        await asyncio.sleep(0.2 + self.random.expovariate(1 / mean))
        if self.log.ending:
            raise Leaves

    def cookie(self, name: str) -> str:
        """Return the value of a cookie, or nothing."""
        return next((one.value or "" for one in self._http.cookies.jar if one.name == name), "")

    # --- requests

    async def view(self, path: str, referer: str = "") -> Reply:
        """Request a page and the embedded files that the visitor does not have yet."""
        reply = await self.get(path, "page", referer)
        if reply.status == 200:
            await self._load_embedded(path, reply.text)
        return reply

    async def get(self, path: str, kind: str = "page", referer: str = "") -> Reply:
        """Request a page, and the page to which it redirects."""
        for _ in range(4):
            reply = await self.send(kind, "GET", path, referer=referer)
            if reply.status not in {301, 302, 303, 307, 308}:
                break
            path = _path(self.app.host, path, reply.headers.get("location", "/"))
        self._judge(path, kind, reply)
        return reply

    async def post(
        self, path: str, form: Mapping[str, str], referer: str = ""
    ) -> tuple[Reply, str]:
        """Send a form; return the response, and the path to which it redirects."""
        reply = await self.send("write", "POST", path, data=form, referer=referer or path)
        location = reply.headers.get("location", "")
        return reply, _path(self.app.host, path, location) if location else ""

    def write(self, url: str) -> Write:
        """Note a write that is about to be sent."""
        return self.log.new_write(self.name, url)

    def expect(self, path: str, marker: str) -> None:
        """From now on the page at ``path`` has this write of the visitor."""
        self._expected.setdefault(path, []).append(marker)

    def broken(self, what: str) -> None:
        """Note that the application did not let the visitor do something."""
        self.log.broken.append(f"{time.monotonic():.3f} {self.name}: {what}")

    async def send(
        self, kind: str, method: str, path: str, *, referer: str = "",
        data: Mapping[str, str] | None = None, json: object = None,
    ) -> Reply:  # fmt: skip
        """Send one request. A read on a kept connection that ends is sent again, once."""
        exchange = Exchange(self.name, "load", kind, method, path, time.monotonic())
        self.log.exchanges.append(exchange)
        headers = {"Accept": _ACCEPT.get(kind, _ACCEPT["page"])}
        headers |= self.app.headers(kind, method)
        if referer:
            headers["Referer"] = f"http://{self.app.host}{referer}"
        for again in (method == "GET", False):
            try:
                return await self._exchange(exchange, headers, data, json)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError) as exc:
                exchange.end, exchange.error = time.monotonic(), f"{type(exc).__name__}: {exc}"
                exchange.cut = exchange.status != 0
                if exchange.cut or not again:
                    break
            except httpx.HTTPError as exc:
                exchange.end, exchange.error = time.monotonic(), f"{type(exc).__name__}: {exc}"
                break
            except asyncio.CancelledError:
                exchange.end, exchange.abandoned = time.monotonic(), True
                raise
        return Reply()

    async def _exchange(
        self, exchange: Exchange, headers: Mapping[str, str], data: Mapping[str, str] | None,
        json: object,
    ) -> Reply:  # fmt: skip
        request = self._http.build_request(
            exchange.method, exchange.url, headers=dict(headers), data=data, json=json
        )
        response = await self._http.send(request, stream=True)
        try:
            exchange.status = response.status_code
            exchange.cache = response.headers.get("cache-status", "")
            body = await response.aread()
        finally:
            await response.aclose()
        exchange.end, exchange.error = time.monotonic(), ""
        self._check_cookies(response.headers.get_list("set-cookie"), exchange.url)
        kind = response.headers.get("content-type", "")
        text = body.decode("utf-8", "replace") if "text/" in kind or "json" in kind else ""
        return Reply(response.status_code, text, response.headers)

    # --- what he must not see

    def _check_cookies(self, fields: Sequence[str], url: str) -> None:
        for field in fields:
            pair = field.partition(";")[0].strip()
            name, _, value = pair.partition("=")
            if not self.app.is_session(name) or len(value) < 12:
                continue
            owner = self.log.sessions.setdefault(pair, self.name)
            if owner != self.name:
                self.log.foreign.append(f"{self.name} gets {owner}'s cookie {name} from {url}")

    def _judge(self, path: str, kind: str, reply: Reply) -> None:
        if reply.status != 200:
            return
        judge(self.app, self.log, self.name, self.identities, path, reply.text)
        if self.logged_in and kind == "page" and self.name not in self.app.owners(reply.text):
            self.log.old.append(f"{self.name}: {path} is from before his login")
        for marker in self._expected.get(path, ()):
            if marker not in reply.text:
                self.log.old.append(f"{self.name}: {path} lacks {marker}")

    async def _load_embedded(self, base: str, text: str) -> None:
        found = [
            path
            for reference in embedded(text)
            if (path := _path(self.app.host, base, reference)) and path not in self._loaded
        ]
        self._loaded.update(found)
        kinds = [("style" if ".css" in path else "image", path) for path in dict.fromkeys(found)]
        await asyncio.gather(*(self.send(kind, "GET", path, referer=base) for kind, path in kinds))


def judge(
    app: Application, log: Log, user: str, identities: set[str], path: str, text: str
) -> None:
    """Note whose page it is, if it is another user's."""
    for owner in app.owners(text) - identities:
        log.foreign.append(f"{user} sees {owner}'s {path}")


def analytics(source: random.Random) -> dict[str, str]:
    """Return the cookies of services for statistics, as their scripts set them."""
    number, when = source.randrange(10**9), 1790000000 + source.randrange(10**6)
    cookies = {
        "_ga": f"GA1.1.{number}.{when}",
        "_ga_1AB2CD3EF4": f"GS2.1.s{when}$o1$g1$t{when + 60}$j60$l0$h0",
    }
    if source.random() < 0.4:
        cookies["_pk_id.1.1fff"] = f"{number:016x}.{when}."
        cookies["_pk_ses.1.1fff"] = "1"
    if source.random() < 0.4:
        cookies["_fbp"] = f"fb.1.{when}000.{number}"
    if source.random() < 0.3:
        cookies["_gid"] = f"GA1.1.{number}.{when}"
    return cookies


def embedded(text: str) -> list[str]:
    """Return the references of a page that a browser loads with it."""
    return [(one[0] or one[1]).replace("&amp;", "&").replace("&#038;", "&")
            for one in _EMBEDDED.findall(text)]  # fmt: skip


def _path(host: str, base: str, reference: str) -> str:
    """Return path and query of a reference to the same host, or nothing."""
    parts = urllib.parse.urlsplit(urllib.parse.urljoin(f"http://{host}{base}", reference))
    if parts.netloc != host:
        return ""
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")

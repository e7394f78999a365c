"""Users with a real browser: headless Chromium, observed through its debugging protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

from playwright.async_api import Browser as Chromium
from playwright.async_api import Error, Page, async_playwright

from tests.sites.record import Exchange, Log, Write
from tests.sites.visitor import PATIENCE, Target, analytics, judge

if TYPE_CHECKING:
    from tests.sites.apps.base import Application

PROGRAM = "/usr/bin/chromium"
_INCOMPLETE = ("CONTENT_LENGTH_MISMATCH", "INCOMPLETE_CHUNKED", "CONNECTION_CLOSED", "RESET")


class Person:
    """A user of the browser. ``page``: for the application's errands."""

    def __init__(self, app: Application, log: Log, name: str, page: Page) -> None:
        self.app, self.log, self.name, self.page = app, log, name, page
        self.identities = {name}
        self.random = random.Random(name)
        self.logged_in = False
        self._open: dict[str, Exchange] = {}
        self._left = False

    async def observe(self) -> None:
        """Record each request of the page."""
        session = await self.page.context.new_cdp_session(self.page)
        session.on("Network.requestWillBeSent", self._sent)
        session.on("Network.requestServedFromCache", lambda event: self._drop(event["requestId"]))
        session.on("Network.responseReceived", self._received)
        session.on("Network.loadingFinished", self._finished)
        session.on("Network.loadingFailed", self._failed)
        await session.send("Network.enable")

    # --- what a user does

    async def go(self, path: str) -> str:
        """Open a page by its address; return its text."""
        await self.page.goto(f"http://{self.app.host}{path}", timeout=PATIENCE * 1000)
        return await self.look()

    async def click(self, selector: str) -> str:
        """Click on something that leads to another page; return its text."""
        async with self.page.expect_navigation(timeout=PATIENCE * 1000):
            await self.page.locator(selector).first.click(timeout=PATIENCE * 1000)
        return await self.look()

    async def enter(self, selector: str) -> str:
        """Send a form from one of its fields; return the text of the page that follows."""
        async with self.page.expect_navigation(timeout=PATIENCE * 1000):
            await self.page.locator(selector).press("Enter", timeout=PATIENCE * 1000)
        return await self.look()

    async def fetch(self, method: str, path: str, record: object = None) -> str:
        """Let a script of the page send a request; return the response's text."""
        return str(await self.page.evaluate(
            "([method, path, body]) => fetch(path, {method, body, headers: body ?"
            " {'Content-Type': 'application/json'} : {}}).then(answer => answer.text())",
            [method, path, json.dumps(record) if record is not None else None],
        ))  # fmt: skip

    async def fill(self, selector: str, text: str) -> None:
        """Fill in a field of a form."""
        await self.page.fill(selector, text, timeout=5000)

    async def look(self) -> str:
        """Return the page's text; note if it is another user's, or from before the login."""
        text = await self.page.content()
        path = urllib.parse.urlsplit(self.page.url).path
        judge(self.app, self.log, self.name, self.identities, path, text)
        if self.logged_in and self.name not in self.app.owners(text):
            self.log.old.append(f"{self.name} (browser): {path} is from before his login")
        return text

    async def think(self) -> None:
        """Read for a while."""
        await asyncio.sleep(self.random.uniform(0.3, 1.0))

    def write(self, url: str) -> Write:
        """Note a write that is about to be sent."""
        return self.log.new_write(self.name, url)

    def leave(self) -> None:
        """Note which responses the user does not wait for."""
        for exchange in self._open.values():
            exchange.end, exchange.abandoned = time.monotonic(), True
        self._open.clear()
        self._left = True

    # --- what the browser reports

    def _sent(self, event: dict[str, Any]) -> None:
        key, request = event["requestId"], event["request"]
        parts = urllib.parse.urlsplit(request["url"])
        before = self._open.pop(key, None)
        if before is not None and "redirectResponse" in event:
            before.end, before.status = event["timestamp"], event["redirectResponse"]["status"]
        if self._left or parts.scheme != "http" or parts.hostname != self.app.host:
            return
        kind = {"Document": "page", "Stylesheet": "style", "Fetch": "api", "XHR": "api"}.get(
            event.get("type", ""), "image"
        )
        if request["method"] not in {"GET", "HEAD"}:
            kind = "write"
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        exchange = Exchange(self.name, "browser", kind, request["method"], path, event["timestamp"])
        self._open[key] = exchange
        self.log.exchanges.append(exchange)

    def _received(self, event: dict[str, Any]) -> None:
        response = event["response"]
        if response.get("fromDiskCache"):
            self._drop(event["requestId"])
        elif (exchange := self._open.get(event["requestId"])) is not None:
            exchange.status = response["status"]
            headers = {name.lower(): value for name, value in response["headers"].items()}
            exchange.cache = headers.get("cache-status", "")

    def _finished(self, event: dict[str, Any]) -> None:
        exchange = self._open.pop(event["requestId"], None)
        if exchange is not None:
            exchange.end = event["timestamp"]

    def _failed(self, event: dict[str, Any]) -> None:
        exchange = self._open.pop(event["requestId"], None)
        if exchange is None:
            return
        exchange.end = event["timestamp"]
        if event.get("canceled") or event["errorText"] == "net::ERR_ABORTED":
            exchange.abandoned = True
        else:
            exchange.error = event["errorText"]
            incomplete = any(part in event["errorText"] for part in _INCOMPLETE)
            exchange.cut = incomplete and exchange.status != 0

    def _drop(self, key: str) -> None:
        exchange = self._open.pop(key, None)
        if exchange is not None:
            self.log.exchanges.remove(exchange)


class Browsers:
    """One Chromium; each user has a separate profile."""

    def __init__(self, app: Application, target: Target, log: Log) -> None:
        self._app, self._target, self._log = app, target, log
        self._stack = contextlib.AsyncExitStack()
        self._chromium: Chromium

    async def __aenter__(self) -> Browsers:
        driver = await self._stack.enter_async_context(async_playwright())
        rules = f"MAP {self._app.host} {self._target.address}:{self._target.port}, MAP * ~NOTFOUND"
        self._chromium = await driver.chromium.launch(
            executable_path=PROGRAM,
            args=["--no-sandbox", "--disable-gpu", f"--host-resolver-rules={rules}"],
        )
        self._stack.push_async_callback(self._chromium.close)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def run(self, name: str, number: int, stop: asyncio.Event) -> None:
        """Let one user do his errand until ``stop`` is set."""
        errand = self._app.errands()[number]
        round_ = 0
        while not stop.is_set():
            context = await self._chromium.new_context(locale="en-US")
            cookies = analytics(random.Random(f"{name}{round_}"))
            await context.add_cookies(
                [{"name": key, "value": value, "url": f"http://{self._app.host}/"}
                 for key, value in cookies.items()]
            )  # fmt: skip
            person = Person(self._app, self._log, name, await context.new_page())
            await person.observe()
            try:
                await errand(person)
            except Exception as exc:  # the application surprises the user
                if not stop.is_set():
                    text = next(iter(str(exc).splitlines()), type(exc).__name__)
                    self._log.broken.append(f"{time.monotonic():.3f} {name} (browser): {text}")
            person.leave()
            with contextlib.suppress(Error):
                await context.close()
            round_ += 1

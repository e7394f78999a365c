"""Clients of other makers get through the journal what they get from the guest itself."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

from nova_cachemig.model.service import Route, Target
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.servers import fetch
from tests.functional.replay.raw import OK, Connection, RawGuest

LIMIT = 1 << 20  # [journal] max_response
WRITES = 20  # of each client

# Each program writes to URL/PATH/1, /2, … on one connection, and prints a list of
# [status, length of the body, whether it is complete].
PYTHON = """
import json, requests, sys
session, found = requests.Session(), []
for number in range(int(sys.argv[2])):
    try:
        got = session.post(f"{sys.argv[1]}/{number}", data=str(number), timeout=30, stream=True)
        body = b""
        for chunk in got.iter_content(10_000):
            body += chunk
        found.append([got.status_code, len(body), True])
    except (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError):
        found.append([got.status_code, len(body), False])
print(json.dumps(found))
"""
NODE = """
const [url, count] = process.argv.slice(1);
const found = [];
for (let number = 0; number < +count; number++) {
  const got = await fetch(`${url}/${number}`, {method: "POST", body: `${number}`});
  let length = 0, whole = true;
  try {
    for await (const chunk of got.body) length += chunk.length;
  } catch (error) { whole = false; }
  found.push([got.status, length, whole]);
}
console.log(JSON.stringify(found));
"""
CURL = """
import json, subprocess, sys
words = []
for number in range(int(sys.argv[2])):
    words += ["--next"] * bool(words)
    words += ["-s", "-d", str(number), "-o", "/dev/null", f"{sys.argv[1]}/{number}",
              "-w", "%{http_code} %{size_download} %{exitcode}\\n"]
out = subprocess.run(["curl", *words], capture_output=True, text=True).stdout
lines = [line.split() for line in out.splitlines()]
print(json.dumps([[int(a), int(b), c == "0"] for a, b, c in lines]))
"""
CLIENTS = {
    "curl": (sys.executable, "-c", CURL),
    "requests": (sys.executable, "-c", PYTHON),
    "node": ("node", "--input-type=module", "-e", NODE),
}


def run(words: tuple[str, ...], url: str) -> list[list[int]]:
    done = subprocess.run(
        [*words, url, str(WRITES)], check=True, capture_output=True, text=True, timeout=60
    )
    return list(json.loads(done.stdout))


class ResponsesTest(ArmedCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.body = os.urandom(3 * LIMIT)
        self.raw = RawGuest(self.respond)
        await self.raw.start()
        self.addAsyncCleanup(self.raw.stop)
        self.writes._conf.set_override("max_response", LIMIT, "journal")
        target = Target("127.0.0.1", self.raw.port)
        self.performer._routes = (Route(self.service, target),)
        await self.engine.apply(self.performer._routes)
        async with asyncio.timeout(10):
            while (await fetch(self.edge, "/up")).body != b"hi":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await self.writes.send_to("shop", target)
        await self.shield()
        await self.back()
        self.performer._cancel("drain")

    async def respond(self, request: Connection) -> bool:
        await request.body()
        path = request.head.split(b" ", 2)[1]
        if path.startswith((b"/length", b"/broken")):
            await request.send(b"HTTP/1.1 201 A\r\ncontent-length: %d\r\n\r\n" % len(self.body))
            broken = path.startswith(b"/broken")
            await request.send(self.body[:100_000] if broken else self.body)
            return not broken
        if path.startswith(b"/chunked"):
            await request.send(b"HTTP/1.1 201 A\r\ntransfer-encoding: chunked\r\n\r\n")
            await request.send(b"%x\r\n%b\r\n0\r\n\r\n" % (len(self.body), self.body))
            return True
        await request.send(OK)
        return True

    async def test_as_from_the_guest_itself(self) -> None:
        through = f"http://127.0.0.1:{self.edge[1]}"
        direct = f"http://127.0.0.1:{self.raw.port}"
        for name, words in CLIENTS.items():
            for path in ("small", "length", "chunked", "broken"):
                with self.subTest(client=name, path=path):
                    expected = await asyncio.to_thread(run, words, f"{direct}/{path}")
                    self.assertEqual(WRITES, len(expected))
                    before = self.raw.count("POST")
                    found = await asyncio.to_thread(run, words, f"{through}/{path}")
                    self.assertEqual(expected, found)
                    self.assertEqual(before + WRITES, self.raw.count("POST"))
        counts = await self.writes.counts("shop")
        self.assertEqual((12 * WRITES, 0), (counts.accepted, counts.in_doubt))

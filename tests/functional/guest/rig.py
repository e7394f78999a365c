"""Starts a guest's application in separate processes, sends requests to it, kills it."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]

SERVERS = {
    # two processes, as the store must serve several
    "flask": ["gunicorn", "-w", "2", "-k", "gthread", "--threads", "8", "-b", "fd://{fd}",
              "tests.functional.guest.flask_app:app"],
    "starlette": ["uvicorn", "--fd", "{fd}", "--log-level", "warning",
                  "tests.functional.guest.starlette_app:app"],
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Got:
    """A response."""

    status: int
    headers: dict[str, str]
    cookies: list[str]
    body: bytes

    @property
    def code(self) -> str:
        """Return the code of a problem; fails for another response."""
        if self.headers["content-type"] != "application/problem+json":
            raise AssertionError(f"no problem: {self}")
        facts = json.loads(self.body)
        if facts["status"] != self.status:
            raise AssertionError(facts)
        return facts["code"]


class Shop:
    """The application behind one listening socket, which outlives the application's processes."""

    def __init__(self, kind: str, directory: str, **environment: str) -> None:
        self.here = Path(directory)
        self._kind = kind
        self._environment = {f"SHOP_{name.upper()}": value for name, value in environment.items()}
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it. Clients wait in the socket's queue until it accepts."""
        fd = self._socket.fileno()
        command = [part.format(fd=fd) for part in SERVERS[self._kind]]
        path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        with (self.here / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", *command],
                env={**os.environ, "SHOP_DIR": str(self.here), "PYTHONPATH": path,
                     "HOME": str(self.here), "XDG_RUNTIME_DIR": str(self.here),
                     **self._environment},
                cwd=self.here, pass_fds=[fd], stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill(self) -> None:
        """Kill all its processes with kill -9."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)

    def died(self) -> None:
        """Wait until it has killed itself, which :meth:`die_at` requests."""
        assert self._process is not None
        if self._process.wait(30) != -signal.SIGKILL:
            raise AssertionError((self.here / "server.log").read_text())
        self.kill()  # what is left of its workers

    def end(self) -> None:
        """Kill it and close its socket."""
        self.kill()
        self._socket.close()

    def die_at(self, point: str, who: str = "all") -> None:
        """Make it die once: before a request is applied, after (applied), or when it is stored."""
        (self.here / f"die-{point}").write_text(who)

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Make it wait in the next request until the block ends; call :meth:`arrived` in it."""
        for name in ("arrived", "go"):
            os.mkfifo(self.here / name)
        try:
            yield
        finally:
            (self.here / "go").open("w").close()
            for name in ("arrived", "go"):
                (self.here / name).unlink()

    def arrived(self) -> None:
        """Wait until a request is in the application. Later ones do not wait there."""
        (self.here / "arrived").open().close()

    def log(self) -> list[bytes]:
        """Return the applied orders, in order."""
        path = self.here / "log"
        return path.read_bytes().splitlines() if path.exists() else []

    def ask_half(self, key: str = '"k1"') -> None:
        """Send the head and half of the body, then disconnect; wait until the server notices."""
        with socket.create_connection(("127.0.0.1", self.port), 30) as connection:
            connection.sendall(
                b"POST /orders HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Length: 10\r\n"
                b"Idempotency-Key: %s\r\n\r\nhalf:" % (self.port, key.encode())
            )
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass

    def ask(
        self,
        body: Any,
        key: str | None = '"k1"',
        *,
        url: str = "/orders",
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
        chunked: bool = False,
    ) -> Got:
        """Send one request on a new connection. Raises OSError or HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        sent = dict(headers or {})
        if key is not None:
            sent["Idempotency-Key"] = key
        with contextlib.closing(connection):
            connection.request(method, url, body, sent, encode_chunked=chunked)
            response = connection.getresponse()
            facts = {name.lower(): value for name, value in response.getheaders()}
            cookies = response.headers.get_all("set-cookie") or []
            return Got(response.status, facts, cookies, response.read())

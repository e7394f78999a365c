"""A Keystone and a Nova over HTTP that respond as a test says."""

from __future__ import annotations

import http.server
import json
import threading
import unittest
from typing import Any

from keystoneauth1 import fixture


class Cloud:
    """``statuses``: the status of each path that does not respond with 200, or 201 for a token."""

    def __init__(self, case: unittest.TestCase) -> None:
        self.statuses: dict[str, int] = {}
        self.endpoint = "/compute/v2.1"
        self.date: str | None = None
        self.unknown: set[str] = set()  # UUIDs of instances
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        thread.start()
        case.addCleanup(self._server.server_close)
        case.addCleanup(self._server.shutdown)

    def account(self, url: str | None = None) -> str:
        """The group [nova] of a configuration file."""
        lines = (
            "[nova]",
            "auth_type = password",
            f"auth_url = {url or self.base + '/v3'}",
            "username = agent",
            "password = secret",
            "project_name = service",
            "user_domain_name = Default",
            "project_domain_name = Default",
        )
        return "\n".join(lines) + "\n"

    def token(self) -> Any:
        """The token, whose catalogue has one endpoint, or none."""
        token = fixture.V3Token(user_name="agent", project_id="p")
        token.set_project_scope(id="p")
        if self.endpoint:
            token.add_service("compute", name="nova").add_standard_endpoints(
                internal=f"{self.base}{self.endpoint}", region="RegionOne"
            )
        return token

    def get(self, path: str) -> tuple[int, Any]:
        """The response to a GET request."""
        if path in {"/", "/v3", "/v3/"}:
            return 200, {"version": fixture.V3Discovery(f"{self.base}/v3")}
        if path.startswith("/compute/v2.1/servers/"):
            uuid = path.rpartition("/")[2]
            if uuid in self.unknown:
                text = f"Instance {uuid} could not be found."
                return 404, {"itemNotFound": {"message": text, "code": 404}}
            return 200, {"server": {"id": uuid}}
        if path == "/compute/v2.1/os-migrations":
            return 200, {"migrations": []}
        return 404, {}

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def reply(self, path: str, status: int, body: Any, **headers: str) -> None:
                refused = cloud.statuses.get(path)
                if refused:
                    status, body = refused, {"error": {"message": "refused", "code": refused}}
                text = json.dumps(body).encode()
                self.send_response_only(status)
                date = cloud.date or self.date_time_string()
                for name, value in {"Date": date, "Content-Length": len(text), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.reply(self.path, 201, cloud.token(), **{"X-Subject-Token": "t"})

            def do_GET(self) -> None:
                path = self.path.partition("?")[0]
                self.reply(path, *cloud.get(path))

        return Handler

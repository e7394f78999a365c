"""A small HTTP server with the calls of Keystone and Nova that the API uses."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Mapping
from typing import Any

from keystoneauth1.fixture import DiscoveryList, V3Token


class Cloud:
    """Knows the tokens and the instances that a test gives it."""

    def __init__(self, tokens: Mapping[str, V3Token], owners: Mapping[str, str]) -> None:
        self.tokens = tokens
        self.owners = owners
        self.validated = 0
        cloud = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cloud.respond(self)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                own = V3Token(project_id="service")
                own.add_role(name="service")
                endpoints = {"public": cloud.url, "internal": cloud.url}
                own.add_service("identity").add_standard_endpoints(**endpoints, region="R")
                cloud.send(self, 201, own, **{"X-Subject-Token": "own-token"})

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def respond(self, request: Any) -> None:
        """Respond to a GET."""
        path = str(request.path)
        if path.rstrip("/") in {"", "/v3"}:
            versions = DiscoveryList(href=self.url, v2=False)
            self.send(request, 300, versions)
        elif path.startswith("/v3/auth/tokens"):
            self.validated += 1
            token = self.tokens.get(str(request.headers["X-Subject-Token"]))
            self.send(request, 404 if token is None else 200, token or {})
        elif path.startswith("/nova/servers/detail"):
            rows = [{"id": one, "tenant_id": project} for one, project in self.owners.items()]
            self.send(request, 200, {"servers": [] if "marker=" in path else rows})
        elif (owner := self.owners.get(path.rpartition("/")[2])) is not None:
            self.send(request, 200, {"server": {"tenant_id": owner}})
        else:
            self.send(request, 404, {})

    @staticmethod
    def send(request: Any, status: int, document: Any, **headers: str) -> None:
        """Send a document."""
        data = json.dumps(document).encode()
        request.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def close(self) -> None:
        """End the server."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

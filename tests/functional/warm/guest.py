"""The guest of the warmer's tests."""

from __future__ import annotations

from collections.abc import Mapping

from tests.functional.engine.servers import Guest, Request


class PageGuest(Guest):
    """Each page has its own body, and the same for all, unless ``depends`` names headers."""

    def __init__(self) -> None:
        super().__init__()
        self.depends: dict[str, tuple[str, ...]] = {}  # path -> headers that its body repeats

    async def _respond(self, request: Request) -> tuple[int, Mapping[str, str], bytes]:
        status, headers, body = await super()._respond(request)
        path = request.url.partition("?")[0]
        if path in self.bodies:
            return status, headers, body
        names = self.depends.get(path, ())
        said = [request.headers.get(name, "") for name in names]
        if "token" in names:
            said.append(str(len(self.seen)))
        return status, headers, " ".join([f"page {request.url}", *said]).encode()

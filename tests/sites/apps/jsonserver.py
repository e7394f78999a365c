"""json-server of npm: a JSON API whose clients poll."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

from tests.sites.apps.base import Application, Errand, Role
from tests.sites.browser import Person
from tests.sites.space import PORT, Space
from tests.sites.visitor import Visitor

_TASKS = 60
_COMMENTS = 40


class JsonServer(Application):
    """Tasks and comments. Dashboards poll lists; people add comments and change their tasks."""

    name = "jsonserver"
    title = "JSON API (json-server)"
    host = "api.test"
    preset = "json-api"
    rate = 6.0
    missing = ("/__rules",)
    pages = (
        ("/tasks?_limit=20", 6.0),
        ("/tasks?done=false&_limit=20", 3.0),
        ("/comments?_sort=id&_order=desc&_limit=10", 4.0),
        ("/profile", 2.0),
        *((f"/tasks/{number}", 4.0 / number) for number in range(1, 13)),
        *((f"/tasks/{number}/comments", 2.0 / number) for number in range(1, 9)),
    )

    def create(self, space: Space) -> None:
        """Start json-server with its data."""
        self.space = space
        data = {
            "tasks": [
                {"id": number, "title": f"Task {number}", "done": number % 3 == 0, "note": ""}
                for number in range(1, _TASKS + 1)
            ],
            "comments": [
                {"id": number, "taskId": number % 12 + 1, "text": f"Comment {number}"}
                for number in range(1, _COMMENTS + 1)
            ],
            "profile": {"name": "A project"},
        }
        self._file.write_text(json.dumps(data))
        program = self.packages / "node/node_modules/json-server/lib/cli/bin.js"
        space.start(
            "node", str(program), str(self._file), "--host", space.address, "--port", str(PORT),
            "--quiet",
        )  # fmt: skip
        space.await_response(self.host)

    @property
    def _file(self) -> Path:
        return self.space.folder / "db.json"

    def count(self, marker: str) -> int:
        """Return the number of records with this text."""
        data = json.loads(self._file.read_text())
        return sum(
            marker in json.dumps(record) for kind in ("tasks", "comments") for record in data[kind]
        )

    def owners(self, text: str) -> set[str]:
        """The API knows no users."""
        return set()

    def headers(self, kind: str, method: str) -> dict[str, str]:
        """Return the fields of a script of the same site."""
        if kind == "page":
            return super().headers(kind, method)
        return {"Origin": f"http://{self.host}"} if method != "GET" else {}

    # --- visitors

    def roles(self) -> list[tuple[Role, float]]:
        """Return what the API's clients do."""
        return [(self._poll, 0.6), (self._browse, 0.25), (self._comment, 0.15)]

    async def _poll(self, visitor: Visitor) -> None:
        lists = [path for path, _ in self.pages[:3]]
        chosen = visitor.random.sample(lists, 2)
        for _ in range(visitor.random.randrange(4, 12)):
            for path in chosen:
                await visitor.get(path, "api")
            await visitor.think(0.8)

    async def _browse(self, visitor: Visitor) -> None:
        for _ in range(visitor.random.randrange(2, 8)):
            await visitor.get(self.some_page(visitor.random), "api")
            await visitor.think(0.8)

    async def _comment(self, visitor: Visitor) -> None:
        task = visitor.random.randrange(1, 13)
        listed = f"/tasks/{task}/comments"
        await visitor.get(listed, "api")
        await visitor.think(0.8)
        write = visitor.write(listed)
        record = {"taskId": task, "text": f"A word: {write.marker}"}
        reply = await visitor.send("write", "POST", "/comments", json=record)
        if reply.status != 201:
            visitor.broken(f"the comment got {reply.status}")
            return
        write.acknowledged = True
        visitor.expect(listed, write.marker)
        with contextlib.suppress(ValueError, KeyError):
            visitor.expect(f"/comments/{json.loads(reply.text)['id']}", write.marker)
        for _ in range(3):
            await visitor.get(listed, "api")
            await visitor.think(0.8)
        await self._browse(visitor)
        await visitor.get(listed, "api")

    # --- users of the browser

    def errands(self) -> list[Errand]:
        """Return what the users of the browser do."""
        return [self._watch, self._watch, self._change]

    async def _watch(self, person: Person) -> None:
        await person.go("/")
        for _ in range(4):
            await person.fetch("GET", "/tasks?_limit=20")
            await person.fetch("GET", "/comments?_sort=id&_order=desc&_limit=10")
            await person.think()

    async def _change(self, person: Person) -> None:
        await person.go("/")
        task = person.random.randrange(40, _TASKS + 1)
        url = f"/tasks/{task}"
        for _ in range(2):
            found = await person.fetch("GET", url)
            if not found.startswith("{"):
                raise ValueError(f"{url} is {found[:200]!r}")
            before = json.loads(found)["note"]
            write = person.write(url)
            answer = await person.fetch("PATCH", url, {"note": f"{before} {write.marker}"})
            write.acknowledged = write.marker in answer
            await person.think()
            if write.acknowledged and write.marker not in await person.fetch("GET", url):
                person.log.old.append(f"{person.name} (browser): {url} lacks {write.marker}")
            await person.think()

"""django-wiki of PyPI: Gunicorn, SQLite, articles that members edit."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
from pathlib import Path

from tests.sites.apps.base import Application, Errand, Role
from tests.sites.browser import Person
from tests.sites.space import PORT, Space
from tests.sites.visitor import Visitor

_HERE = Path(__file__).parent
_MEMBER = re.compile(r'notification-cnt">\d*</span>\s*(member-\d+)\s')
_TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
_REVISION = re.compile(r'name="current_revision"[^>]*value="(\d+)"')
_ARTICLES = 20
_MEMBERS = 400


class DjangoWiki(Application):
    """Articles. Each member edits the article of his own name."""

    name = "djangowiki"
    title = "django-wiki"
    host = "wiki.test"
    preset = "django"
    session_cookies = ("sessionid", "csrftoken")
    pages = (
        ("/", 8.0),
        *((f"/article-{number}/", 6.0 / number) for number in range(1, _ARTICLES + 1)),
        ("/article-1/_history/", 0.4),
        ("/_search/?q=harbour", 0.4),
        ("/_dir/", 0.4),
    )

    def create(self, space: Space) -> None:
        """Install and start Gunicorn with the wiki."""
        self.space = space
        folder = space.folder
        shutil.copytree(_HERE / "project", folder, dirs_exist_ok=True)
        python = self.packages / "python/bin/python"
        for command in (["migrate", "-v0"], ["collectstatic", "-v0", "--noinput"]):
            self._run(python, "-m", "django", *command)
        self._run(python, "wikiseed.py", str(_ARTICLES), str(_MEMBERS))
        space.start(
            str(python), "-m", "gunicorn", "--bind", f"{space.address}:{PORT}", "--workers", "2",
            "--threads", "4", "django.core.wsgi:get_wsgi_application()", **self._environment,
        )  # fmt: skip
        space.await_response(self.host)

    @property
    def _environment(self) -> dict[str, str]:
        return {"DJANGO_SETTINGS_MODULE": "wikisettings", "PYTHONPATH": str(self.space.folder)}

    def _run(self, *command: object) -> None:
        done = subprocess.run(
            [str(word) for word in command], cwd=self.space.folder, env=self._environment,
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"{command}: {done.stderr[-2000:]}")

    def count(self, marker: str) -> int:
        """Return the number of revisions with this text."""
        with sqlite3.connect(self.space.folder / "wiki.sqlite") as connection:
            found = connection.execute(
                "SELECT COUNT(*) FROM wiki_articlerevision WHERE content LIKE ?", (f"%{marker}%",)
            )
            return int(found.fetchone()[0])

    def owners(self, text: str) -> set[str]:
        """Return the member of the menu."""
        return set(_MEMBER.findall(text))

    # --- visitors

    def roles(self) -> list[tuple[Role, float]]:
        """Return what visitors do."""
        return [(self._read, 0.86), (self._edit, 0.07), (self._join, 0.07)]

    async def _read(self, visitor: Visitor) -> None:
        for _ in range(visitor.random.choice((1, 1, 2, 3, 4, 6))):
            await visitor.view(self.some_page(visitor.random))
            await visitor.think()

    async def _join(self, visitor: Visitor) -> None:
        await visitor.view("/")
        await visitor.think()
        if await self._log_in(visitor):
            await self._read(visitor)

    async def _log_in(self, visitor: Visitor) -> bool:
        reply = await visitor.view("/_accounts/login/", "/")
        token = _TOKEN.search(reply.text)
        if token is None:
            return False
        name = self.next_member()
        visitor.name, visitor.identities = name, {name}
        form = {"username": name, "password": f"secret of {name}", "csrfmiddlewaretoken": token[1]}
        answer, location = await visitor.post("/_accounts/login/", form)
        if answer.status != 302:
            visitor.broken(f"the login got {answer.status}")
            return False
        visitor.logged_in = True
        await visitor.view(location)
        await visitor.think()
        return True

    async def _edit(self, visitor: Visitor) -> None:
        if not await self._log_in(visitor):
            return
        article = f"/{visitor.name}/"
        await visitor.view(article)
        await visitor.think()
        reply = await visitor.view(f"{article}_edit/", article)
        token, revision = _TOKEN.search(reply.text), _REVISION.search(reply.text)
        if token is None or revision is None:
            return
        await visitor.think()
        write = visitor.write(article)
        form = {
            "csrfmiddlewaretoken": token[1],
            "current_revision": revision[1],
            "title": visitor.name,
            "content": f"About me: {write.marker}",
            "summary": "",
            "save": "1",
        }
        answer, location = await visitor.post(f"{article}_edit/", form)
        if answer.status != 302:
            visitor.broken(f"the edit got {answer.status}")
            return
        write.acknowledged = True
        visitor.expect(article, write.marker)
        await visitor.view(location)
        await visitor.think()
        await self._read(visitor)
        await visitor.view(article)

    # --- users of the browser

    def errands(self) -> list[Errand]:
        """Return what the users of the browser do."""
        return [self._click, self._write, self._enter]

    async def _click(self, person: Person) -> None:
        await person.go("/")
        for number in (1, 2, 3):
            await person.think()
            await person.click(f'a[href="/article-{number}/"]')
            await person.think()
            await person.go("/")

    async def _write(self, person: Person) -> None:
        await self._enter(person, pages=1)
        article = f"/{person.name}/"
        for _ in range(2):
            await person.go(f"{article}_edit/")
            await person.think()
            write = person.write(article)
            await person.page.evaluate(
                "text => { const area = document.querySelector('#id_content');"
                "const editor = area.nextSibling && area.nextSibling.CodeMirror;"
                "if (editor) editor.setValue(text); area.value = text; }",
                f"From the browser: {write.marker}",
            )
            text = await person.click("#article_edit_form #id_save, #article_edit_form [name=save]")
            write.acknowledged = write.marker in text
            if not write.acknowledged:
                person.log.old.append(f"{person.name} (browser): {article} lacks {write.marker}")
            await person.think()
        await person.go("/")

    async def _enter(self, person: Person, pages: int = 3) -> None:
        name = self.next_member()
        await person.go("/")
        await person.think()
        await person.go("/_accounts/login/?next=/")
        await person.fill("#id_username", name)
        await person.fill("#id_password", f"secret of {name}")
        person.name, person.identities = name, {name}
        if name not in self.owners(await person.enter("#id_password")):
            raise ValueError(f"{name} is not logged in")
        person.logged_in = True
        for number in range(1, pages + 1):
            await person.think()
            await person.go(f"/article-{number}/")

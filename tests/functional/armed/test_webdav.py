"""WebDAV: the public test suite litmus against Apache, directly and through each phase."""

from __future__ import annotations

import asyncio
import contextlib
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

from nova_cachemig.model.service import Route, Target
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.servers import fetch
from tests.functional.ports import free_port

_MODULES = ("mpm_event", "authz_core", "dav", "dav_fs", "dav_lock")
_APACHE = """
ServerName guest.example
ServerRoot {here}
PidFile {here}/apache.pid
ErrorLog {here}/apache.log
Listen 127.0.0.1:{port}
DocumentRoot {here}/pages
DavLockDB {here}/pages/locks
User www-data
<Directory {here}/pages>
  Dav On
  Require all granted
</Directory>
"""
_VERDICT = re.compile(r"^ *\d+\. (\w+)\.+ (pass|FAIL|SKIPPED|WARNING)", re.MULTILINE)


def litmus(port: int, name: str, here: Path) -> list[tuple[str, str]]:
    """Run the suite below the path ``name``. Return its tests and their verdicts."""
    directory = here / f"litmus-{name}"
    directory.mkdir()
    done = subprocess.run(
        ["litmus", "-k", f"http://127.0.0.1:{port}/{name}/"],
        check=False, cwd=directory, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    (directory / "out").write_text(done.stdout + done.stderr)
    return _VERDICT.findall(done.stdout.replace("\r", "\n"))


class WebDavTest(ArmedCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.port = free_port()
        self.root.chmod(0o755)
        for name in ("direct", "armed", "replay", "silence"):
            (self.root / "pages" / name).mkdir(parents=True)
        (self.root / "pages" / "up").write_text("yes")
        self.serve()
        target = Target("127.0.0.1", self.port)
        self.performer._routes = (Route(self.service, target),)
        await self.engine.apply(self.performer._routes)
        async with asyncio.timeout(10):
            while (await fetch(self.edge, "/up")).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await self.writes.send_to("shop", target)

    def serve(self) -> None:
        lines = [
            f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so" for name in _MODULES
        ]
        config = self.root / "apache.conf"
        config.write_text("\n".join(lines) + _APACHE.format(here=self.root, port=self.port))
        subprocess.run(["chown", "-R", "www-data", str(self.root / "pages")], check=True)
        server = subprocess.Popen(["apache2", "-D", "FOREGROUND", "-f", str(config)])
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)

    async def suite(self, name: str, port: int) -> list[tuple[str, str]]:
        return await asyncio.to_thread(litmus, port, name, self.root)

    @contextlib.asynccontextmanager
    async def silences(self) -> AsyncIterator[None]:
        """The guest falls silent and returns, again and again."""

        async def run() -> None:
            while True:
                await self.shield()
                await asyncio.sleep(0.2)
                await self.back()
                await asyncio.sleep(0.2)

        task = asyncio.create_task(run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def test_each_verdict_is_the_same_in_every_phase(self) -> None:
        edge = self.edge[1]
        direct = await self.suite("direct", self.port)
        self.assertLess(60, len(direct))
        self.assertEqual(direct, await self.suite("armed", edge))
        await self.shield()
        await self.back()
        self.performer._cancel("drain")
        self.assertEqual(direct, await self.suite("replay", edge))
        self.assertLess(60, (await self.writes.counts("shop")).accepted)
        async with self.silences():
            self.assertEqual(direct, await self.suite("silence", edge))
        self.assertEqual(0, (await self.writes.counts("shop")).in_doubt)

"""Git's smart HTTP: a POST whose response is larger than any limit of the journal."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from nova_cachemig.model.service import Route, Target
from tests.functional.armed.rig import ArmedCase
from tests.functional.engine.servers import fetch
from tests.functional.ports import free_port

MIB = 1 << 20
FILES, FILE_SIZE = 12, 8 * MIB  # random bytes: Git cannot compress them

_LIGHTTPD = """
server.modules = ("mod_alias", "mod_cgi", "mod_setenv")
server.document-root = "{here}"
server.bind = "127.0.0.1"
server.port = {port}
server.stream-response-body = 1
alias.url = ("/git/" => "/usr/lib/git-core/git-http-backend/")
cgi.assign = ("" => "")
setenv.add-environment = ("GIT_PROJECT_ROOT" => "{here}", "GIT_HTTP_EXPORT_ALL" => "1")
"""


def git(*words: str, here: Path) -> str:
    """Run Git without the configuration of this machine's users."""
    who = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com"}
    who |= {key.replace("AUTHOR", "COMMITTER"): value for key, value in who.items()}
    env = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    argv = ("git", "-c", "core.compression=0", *words)
    done = subprocess.run(argv, check=False, cwd=here, env=env, capture_output=True, text=True)
    if done.returncode:
        raise AssertionError(f"git {' '.join(words)}: {done.stderr}")
    return done.stdout.strip()


def head(repository: Path) -> str:
    """Return the id of the newest commit."""
    return git("rev-parse", "main", here=repository)


class GitTest(ArmedCase):
    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.work = self.root / "work"
        self.work.mkdir()
        await asyncio.to_thread(self.create)
        target = Target("127.0.0.1", free_port())
        self.serve(target.port)
        self.performer._routes = (Route(self.service, target),)
        await self.engine.apply(self.performer._routes)
        refs = "/git/big.git/info/refs?service=git-upload-pack"
        async with asyncio.timeout(10):
            while (await fetch(self.edge, refs)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await self.writes.send_to("shop", target)

    def serve(self, port: int) -> None:
        config = self.root / "lighttpd.conf"
        config.write_text(_LIGHTTPD.format(here=self.root, port=port))
        with (self.root / "lighttpd.log").open("wb") as log:
            argv = ["/usr/sbin/lighttpd", "-D", "-f", str(config)]
            server = subprocess.Popen(argv, stdout=log, stderr=log)
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)

    def create(self) -> None:
        git("init", "-q", "-b", "main", here=self.work)
        for number in range(FILES):
            (self.work / f"file{number}").write_bytes(os.urandom(FILE_SIZE))
        git("add", ".", here=self.work)
        git("commit", "-q", "-m", "big", here=self.work)
        git("clone", "-q", "--bare", str(self.work), "big.git", here=self.root)
        git("config", "http.receivepack", "true", here=self.root / "big.git")

    async def test_a_large_clone_while_the_journal_is_replayed(self) -> None:
        url = f"http://127.0.0.1:{self.edge[1]}/git/big.git"
        await self.shield()
        await self.back()
        self.performer._cancel("drain")
        await asyncio.to_thread(git, "clone", "-q", url, "clone", here=self.root)
        self.assertEqual(head(self.work), head(self.root / "clone"))
        self.assertEqual(0, (await self.writes.counts("shop")).accepted)

    async def test_a_large_clone_and_a_push_work_as_without_a_cache_node(self) -> None:
        url = f"http://127.0.0.1:{self.edge[1]}/git/big.git"
        await asyncio.to_thread(git, "clone", "-q", url, "clone", here=self.root)
        clone = self.root / "clone"
        self.assertEqual(head(self.work), head(clone))
        self.assertEqual(*((one / "file7").read_bytes() for one in (self.work, clone)))
        (clone / "more").write_bytes(os.urandom(20 * MIB))
        git("add", ".", here=clone)
        git("commit", "-q", "-m", "more", here=clone)
        await asyncio.to_thread(git, "push", "-q", "origin", "main", here=clone)
        self.assertEqual(head(clone), head(self.root / "big.git"))

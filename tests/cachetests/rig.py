"""The suite's origin and client, with the edge and the write path between them."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from pathlib import Path
from typing import Final

from nova_cachemig.agent.freshness import Freshness
from nova_cachemig.agent.noop import NoWarmer
from nova_cachemig.agent.writes import Writes
from nova_cachemig.model.phase import EdgeState
from nova_cachemig.model.policy import Policy, Rule
from nova_cachemig.model.service import Route, Service, Target
from tests.functional.engine.rig import EngineCase
from tests.functional.ports import free_port
from tests.functional.replay.path import conf_for

HERE: Final = Path(__file__).parent
PACKAGES: Final = Path(os.environ.get("CACHEMIG_CACHE_TESTS", HERE.parents[1] / ".cachetests"))
ONLY: Final = os.environ.get("CACHEMIG_CACHE_TEST", "")

_PATIENCE: Final = 600.0  # s, for all tests; they take one minute
_POLICY: Final = Policy(
    # The suite numbers and names its requests. No response depends on that.
    own=(Rule(neutral_headers=("test-id", "test-name", "req-num")),)
)


@dataclasses.dataclass(frozen=True)
class Result:
    """The result of one test of the suite."""

    test: str
    group: str
    kind: str  # required, optimal, check
    passed: bool
    why: str  # it has failed


class SuiteCase(EngineCase):
    """``run_suite`` runs all tests in the replay: the cache is used, and the guest responds."""

    async def asyncSetUp(self) -> None:
        self.origin = free_port()
        await super().asyncSetUp()
        await self.intake.stop()
        conf = conf_for(self.root, intake_socket=self.intake_socket)
        self.writes = Writes(conf, Freshness(self.engine, NoWarmer()))
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        target = Target("127.0.0.1", self.origin)
        await self.engine.apply([Route(self.service, target)])
        await self.writes.open(self.service)
        await self.writes.send_to(self.service.name, target)
        await self.agent_is_up()

    def a_service(self, name: str = "suite", **fields: object) -> Service:
        return super().a_service(name, policy=_POLICY, **fields)

    async def run_suite(self) -> list[Result]:
        """Return the results of all tests, or of the one that the environment names."""
        arguments = [str(PACKAGES), str(self.origin), "{}:{}".format(*self.edge)]
        client = await asyncio.create_subprocess_exec(
            *("node", str(HERE / "run.mjs"), *arguments, *((ONLY,) if ONLY else ())),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=1 << 20,
        )
        self.addAsyncCleanup(_end, client)
        assert client.stdin is not None
        assert client.stdout is not None
        async with asyncio.timeout(_PATIENCE):
            self.assertEqual(b"ready\n", await client.stdout.readline())
            await self.flip(EdgeState.REPLAY)
            client.stdin.write(b"\n")
            found = json.loads(await client.stdout.readline())
        return [
            Result(test, group, kind, result is True, "" if result is True else ": ".join(result))
            for test, (group, kind, result) in found.items()
            if result is not None
        ]


async def _end(client: asyncio.subprocess.Process) -> None:
    if client.returncode is None:
        client.kill()
    await client.wait()

"""Runs the workload: two services, their users, their guests and migrations; judges the result."""

from __future__ import annotations

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.functional.ports import free_port
from tests.workload.client import HttpClient
from tests.workload.freshness import Freshness
from tests.workload.instance import PORT, Instance
from tests.workload.judge import FAULTS, Judge
from tests.workload.migrations import Migrations
from tests.workload.node import Node
from tests.workload.records import Facts, parse
from tests.workload.users import Log, Profile, Reader, Session, Writer, follow, read

_DRAIN = 90.0  # seconds within which all accepted writes must have an outcome
_SHOWN = 10  # sentences for each fault


@dataclasses.dataclass(frozen=True)
class Plan:
    """``writes``: in total. ``seconds``: the run ends then in any case.

    ``without``: names of ways, manners and migrations that are left out, to find a cause.
    ``only``: kinds of migrations; the others are left out. ``small_disk``: see :class:`Node`.
    """

    writes: int
    seed: int
    seconds: float = 900.0
    writers: int = 10
    readers: int = 3
    patience: float = 60.0  # seconds of a client
    without: frozenset[str] = frozenset()
    only: frozenset[str] = frozenset()
    small_disk: bool = False
    extra: str = ""  # configuration of the agent
    keep: bool = False


@dataclasses.dataclass(frozen=True)
class _Service:
    name: str
    instance: str
    honours_keys: bool
    port: int
    guest: Instance
    log_path: Path
    log: Log
    more: dict[str, Any]

    def definition(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "instance": self.instance,
            "port": PORT,
            "listen": f"127.0.0.1:{self.port}",
            "honours_keys": self.honours_keys,
            **self.more,
        }


class Run:
    """One run in a separate directory."""

    def __init__(self, plan: Plan, directory: Path) -> None:
        self._plan = plan
        network = 100 + os.getpid() % 100
        self._source = f"198.18.{network}.251"
        self._services = [
            self._service(number, name, network, directory)
            for number, name in enumerate(("shop", "wiki"))
        ]
        self._parallel = (1, 1, 4)[plan.seed % 3]
        self.node = Node(
            [one.definition() for one in self._services],
            {one.name: one.guest.address for one in self._services},
            self._source,
            f"[journal]\nparallel = {self._parallel}\n{plan.extra}",
            small_disk=plan.small_disk,
        )
        self._endless: list[str] = []
        self._unacknowledged: list[str] = []
        self._migrations: list[Migrations] = []
        self.seconds = 0.0

    def _service(self, number: int, name: str, network: int, directory: Path) -> _Service:
        log_path = directory / f"{name}.log"
        honours_keys = name == "wiki"
        arguments = ["--port", str(PORT), "--seed", str(self._plan.seed), "--log", str(log_path)]
        arguments += ["--journal-address", self._source]
        arguments += ["--without", ",".join(self._plan.without)]
        arguments += ["--honours-keys"] if honours_keys else []
        guest = Instance(number, network, arguments)
        uuid = f"6f70656e-7374-4163-8b21-00000000{number:04x}"
        return _Service(name, uuid, honours_keys, free_port(), guest, log_path, Log(),
                        self._variant(name))  # fmt: skip

    def _variant(self, name: str) -> dict[str, Any]:
        """Return the settings of a service that differ from seed to seed."""
        if name == "shop":
            return {"writes": "accept"} if self._plan.seed % 4 == 3 else {}
        return {"client_cookie": "sessionid"} if self._plan.seed % 2 else {}

    async def run(self) -> dict[str, Any]:
        """Run and return the figures."""
        began = time.monotonic()
        try:
            for number, service in enumerate(self._services):
                more = [f"{self._source}/32"] if number == 0 else []
                await asyncio.to_thread(service.guest.create, *more)
            await asyncio.to_thread(self.node.start)
            for service in self._services:
                await self._until_served(service)
            await self._load(time.monotonic() + self._plan.seconds)
            await self._drain()
            verdict = self._judge()
        finally:
            for service in self._services:
                await asyncio.to_thread(service.guest.destroy)
            memory = self.node.measure()
            await asyncio.to_thread(self.node.destroy, keep=self._plan.keep)
        self.seconds = time.monotonic() - began
        return self._figures(verdict, memory)

    def _profile(self, service: _Service, kind: str, number: int) -> Profile:
        name = f"{service.name}-{kind}{number}"
        logins = ("", f"Cookie: sessionid={name}", f"X-Api-Key: {name}",
                  f"Authorization: Bearer {name}")  # fmt: skip
        renewed = number % 8 == 1 and kind != "p"
        third = self._services.index(service) * 2 + (kind == "r")
        return Profile(
            name,
            service.name,
            service.port,
            f"127.1.{third}.{number + 1}",
            logins[number % 4] + ("~0" if renewed else ""),
            keyed=kind == "w" and (renewed or number % 5 in {1, 2, 3}),
            patience=self._plan.patience,
        )

    async def _until_served(self, service: _Service) -> None:
        profile = self._profile(service, "p", 200)
        session = Session(profile, service.log)
        end = time.monotonic() + 60.0
        while time.monotonic() < end:
            http = HttpClient(profile.port, profile.address, 5.0)
            await read("/p/0", http, session, None)
            http.close()
            if service.log.reads:
                return
            await asyncio.sleep(0.2)
        raise RuntimeError(f"{service.name} is not served: {self.node.log()[-3000:]}")

    async def _load(self, deadline: float) -> None:
        plan, stop, calm = self._plan, asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for service in self._services:
                migrations = Migrations(
                    self.node, service.guest, service.instance, [service.name], plan.seed,
                    plan.without, plan.only,
                )  # fmt: skip
                self._migrations.append(migrations)
                tasks.create_task(self._migrate(migrations, stop, calm))
                for number in range(plan.writers):
                    profile = self._profile(service, "w", number)
                    user = Writer(profile, service.log, plan.seed, plan.without)
                    tasks.create_task(user.run(stop))
                for number in range(plan.readers):
                    profile = self._profile(service, "r", number)
                    tasks.create_task(Reader(profile, service.log, plan.seed).run(stop))
            while self._written() < plan.writes and time.monotonic() < deadline:
                if calm.is_set() or not (self.node.alive() or self.node.lock.locked()):
                    break
                await asyncio.sleep(0.1)
            stop.set()

    async def _migrate(
        self, migrations: Migrations, stop: asyncio.Event, failed: asyncio.Event
    ) -> None:
        try:
            await migrations.run(stop)
        except AssertionError as exc:
            self._endless.append(str(exc))
            failed.set()

    def _written(self) -> int:
        return sum(len(service.log.writes) for service in self._services)

    async def _drain(self) -> None:
        """Wait until the journal is empty, then ask for the status of each write that has one."""
        end = time.monotonic() + _DRAIN
        while self.node.waiting() and time.monotonic() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        for service in self._services:
            profile = self._profile(service, "p", 200)
            http = HttpClient(profile.port, profile.address, 10.0)
            for write in service.log.writes:
                if write.location is not None:
                    await follow(write, http, service.log)
            http.close()

    def _judge(self) -> dict[str, list[str]]:
        quarantined = self.node.quarantined()
        verdict: dict[str, list[str]] = {fault: [] for fault in FAULTS}
        for service in self._services:
            guest = parse(service.log_path.read_text().splitlines())
            facts = Facts(
                service.log.writes, service.log.reads, guest, quarantined, service.honours_keys,
                self._parallel == 1, self.node.away, service.guest.away,
            )  # fmt: skip
            for fault, found in Judge(facts).verdict().items():
                verdict[fault] += found
            verdict["crossed"] += service.log.crossed
            self._unacknowledged += list(Freshness(facts).unacknowledged())
        if self.node.waiting():
            verdict["unresolved"].append(f"{self.node.waiting()} writes wait at the end")
        verdict["endless"] = self._endless
        verdict["tracebacks"] = self.node.tracebacks()
        return verdict

    def _figures(self, verdict: dict[str, list[str]], memory: int) -> dict[str, Any]:
        statuses: collections.Counter[str] = collections.Counter()
        migrations: collections.Counter[str] = collections.Counter()
        for service in self._services:
            statuses.update(service.log.statuses)
        for one in self._migrations:
            migrations.update(one.done)
        return {
            "seed": self._plan.seed,
            "writes": self._written(),
            "reads": sum(len(service.log.reads) for service in self._services),
            **{fault: len(found) for fault, found in verdict.items()},
            "reads_older_than_unacknowledged_writes": len(self._unacknowledged),
            "agent_mib": memory,
            "agent_away": len(self.node.away),
            "migrations": dict(migrations.most_common()),
            "outcomes": dict(statuses.most_common()),
            "seconds": round(self.seconds, 1),
            "findings": {fault: found[:_SHOWN] for fault, found in verdict.items() if found},
        }


def execute(plan: Plan, directory: Path) -> dict[str, Any]:
    """Run in ``directory``, which keeps the logs of the guests."""
    return asyncio.run(Run(plan, directory).run())


def faults(figures: dict[str, Any]) -> dict[str, int]:
    """Return the counts that must be zero and are not."""
    names = (*FAULTS, "endless", "tracebacks")
    return {name: figures[name] for name in names if figures[name]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/writes-workload", description=__doc__)
    parser.add_argument("--writes", type=int, default=2000, help="number of writes")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="for all that is random")
    parser.add_argument("--seconds", type=float, default=900.0, help="limit of the load")
    parser.add_argument(
        "--without", default="", metavar="NAME[,NAME…]",
        help="leave out these ways of guests, manners of clients, or kinds of migrations",
    )  # fmt: skip
    parser.add_argument(
        "--only", default="", metavar="NAME[,NAME…]", help="leave out all other kinds of migrations"
    )
    parser.add_argument(
        "--small-disk", action="store_true", help="give the agent a disk that is full at times"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="GROUP.NAME=VALUE",
        help="an option of the agent, such as journal.parallel=4; may be repeated",
    )  # fmt: skip
    parser.add_argument("--keep", type=Path, help="directory for the logs; it must not exist")
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Return 0 without a fault."""
    options = _parser().parse_args(argv)
    extra = ""
    for setting in options.set:
        name, _, value = setting.partition("=")
        group, _, option = name.partition(".")
        extra += f"[{group}]\n{option} = {value}\n"
    plan = Plan(
        options.writes,
        options.seed,
        options.seconds,
        without=frozenset(filter(None, options.without.split(","))),
        only=frozenset(filter(None, options.only.split(","))),
        small_disk=options.small_disk,
        extra=extra,
        keep=options.keep is not None,
    )
    with contextlib.ExitStack() as stack:
        if options.keep is None:
            directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="workload-")))
        else:
            directory = options.keep
            directory.mkdir(parents=True)
        figures = execute(plan, directory)
    text = json.dumps(figures, indent=2)
    print(text)
    if options.json:
        options.json.write_text(text + "\n")
    found = faults(figures)
    print(f"seed {plan.seed}: {found or 'no fault'}", file=sys.stderr)
    return 1 if found else 0

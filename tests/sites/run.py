"""Runs applications alone, with the safe part of a preset, and with consent; judges them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from nova_cachemig.model.event import EventKind
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.rpc.client import RefusedError, UnreachableError
from tests.functional.ports import free_port
from tests.sites.apps import APPLICATIONS
from tests.sites.apps.base import Application
from tests.sites.browser import Browsers
from tests.sites.judge import faults, figures
from tests.sites.page import write_report
from tests.sites.record import Log, Silence
from tests.sites.space import PORT, Space
from tests.sites.visitor import Leaves, Target, Visitor
from tests.workload.node import Node

MODES = ("without", "safe", "consent")
_LEARN = 8.0  # seconds of load before the first migration
_BETWEEN = 3.0  # seconds of load around each silence
_AFTER = 4.0
_PATIENCE = 60.0
_EXTRA = """
[agent]
warm_time = 20
[engine]
cache_size = 128m
hold_timeout = 60
[journal]
hold_timeout = 60
response_timeout = 60
response_time = 30
"""
"""As by default, unlike the node of the other workload."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The applications, the modes and the silences of a run."""

    apps: tuple[str, ...]
    modes: tuple[str, ...] = MODES
    silences: tuple[float, ...] = (3.0, 8.0)
    seed: int = 1
    browsers: bool = True
    rate: float = 1.0


class Case:
    """One application in one mode: its users, and the migrations."""

    def __init__(
        self, plan: Plan, app: Application, mode: str, target: Target, node: Node, instance: str
    ) -> None:
        self._plan, self._app, self._mode, self._target = plan, app, mode, target
        self._node, self._instance = node, instance
        self.log = Log()
        self._stop = asyncio.Event()
        self._random = random.Random(f"{plan.seed}:{app.name}")

    async def run(self) -> dict[str, Any]:
        """Return the figures."""
        async with contextlib.AsyncExitStack() as stack:
            tasks = [asyncio.create_task(self._arrivals())]
            if self._plan.browsers:
                browsers = Browsers(self._app, self._target, self.log)
                await stack.enter_async_context(browsers)
                tasks += [
                    asyncio.create_task(browsers.run(f"person-{number}", number, self._stop))
                    for number in range(len(self._app.errands()))
                ]
            await asyncio.sleep(_LEARN)
            for number, seconds in enumerate(self._plan.silences):
                await self._migrate(f"req-{self._app.name}-{self._mode}-{number}", seconds)
                await asyncio.sleep(_AFTER)
            self._stop.set()
            self.log.ending = True
            done, late = await asyncio.wait(tasks, timeout=_PATIENCE)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
            for task in done:
                task.result()
        row = figures(self.log, self._app.count, self._app.missing)
        return {"app": self._app.name, "title": self._app.title, "mode": self._mode, **row}

    async def _arrivals(self) -> None:
        sessions: set[asyncio.Task[None]] = set()
        number = 0
        while not self._stop.is_set():
            session = asyncio.create_task(self._session(number))
            sessions.add(session)
            session.add_done_callback(sessions.discard)
            number += 1
            await asyncio.sleep(self._random.expovariate(self._app.rate * self._plan.rate))
        if sessions:
            _, late = await asyncio.wait(sessions, timeout=20.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _session(self, number: int) -> None:
        roles, weights = zip(*self._app.roles(), strict=True)
        role = self._random.choices(roles, weights)[0]
        seed = f"{self._plan.seed}:{self._app.name}"
        name = f"visitor-{self._mode}-{number}"
        visitor = Visitor(self._app, self._target, number, self.log, name, seed)
        try:
            await role(visitor)
        except Leaves:
            pass
        except Exception as exc:  # the application surprises the visitor
            visitor.broken(f"{role.__name__}: {type(exc).__name__}: {exc}")
        finally:
            await visitor.close()

    # --- the migration, as nova-compute reports it

    async def _migrate(self, request: str, seconds: float) -> None:
        ours = self._mode != "without"
        if ours:
            self._node.client.begin({}, self._instance, request, "host-a", "host-b", time.time())
            await self._until_warm(request)
        await asyncio.sleep(_BETWEEN)
        await asyncio.to_thread(self._app.space.pause)
        began = time.monotonic()
        if ours:
            self._tell(EventKind.PAUSED, request)
        await asyncio.sleep(seconds)
        ended = time.monotonic()
        await asyncio.to_thread(self._app.space.resume)
        self.log.silences.append(Silence(began, ended))
        if ours:
            self._tell(EventKind.RESUMED, request)
            await self._until_idle(request)

    async def _until_warm(self, request: str) -> None:
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(UnreachableError, RefusedError):
                found = await asyncio.to_thread(
                    self._node.client.wait_warm, {}, self._instance, request, 2.0
                )
                if found.ready:
                    return
        raise RuntimeError("the cache is not warm")

    async def _until_idle(self, request: str) -> None:
        end, again = time.monotonic() + _PATIENCE, 0.0
        while time.monotonic() < end:
            if time.monotonic() > again:
                self._tell(EventKind.COMPLETED, request)
                again = time.monotonic() + 2.0
            with contextlib.suppress(UnreachableError, RefusedError):
                services = await asyncio.to_thread(self._node.client.services, {})
                own = [one["phase"] for one in services if one["name"].startswith(self._app.name)]
                if set(own) == {"idle"}:
                    return
            await asyncio.sleep(0.1)
        raise RuntimeError(f"the handover does not end: {services}")

    def _tell(self, kind: EventKind, request: str) -> None:
        event = GuestEvent(self._instance, kind, time.time(), "host-b", request)
        self._node.client.guest_event({}, event)


class Run:
    """All cases of a plan on one cache node."""

    def __init__(self, plan: Plan, packages: Path, folder: Path) -> None:
        self._plan, self._folder = plan, folder
        network = 20 + os.getpid() % 80
        self._apps: dict[str, tuple[Application, str]] = {}
        self._services: dict[tuple[str, str], dict[str, Any]] = {}
        addresses = {}
        self._fronts: dict[tuple[str, str], int] = {}
        for number, name in enumerate(plan.apps):
            app = APPLICATIONS[name](packages)
            app.space = Space(number, network, folder / name)
            instance = f"6f70656e-7374-4163-8b21-00000000{number:04x}"
            self._apps[name] = app, instance
            for mode in set(plan.modes) - {"without"}:
                port = self._fronts[name, mode] = free_port()
                service = f"{name}-{mode}"
                addresses[service] = app.space.address
                self._services[name, mode] = {
                    "name": service, "instance": instance, "port": PORT,
                    "listen": f"127.0.0.1:{port}", "policy": app.policy(mode),
                    "address": app.space.address,
                }  # fmt: skip
        services = list(self._services.values())
        self.node = Node(services, addresses, "", _EXTRA)

    async def run(self) -> list[dict[str, Any]]:
        """Return the figures of all cases, with their logs."""
        rows: list[dict[str, Any]] = []
        try:
            for app, _ in self._apps.values():
                _say(f"installing {app.title}")
                await asyncio.to_thread(app.space.create)
                await asyncio.to_thread(app.create, app.space)
            await asyncio.to_thread(self.node.start)
            for app, instance in self._apps.values():
                for mode in self._plan.modes:
                    _say(f"{app.title}, {mode}")
                    if mode != "without":
                        await self._serve(self._services[app.name, mode])
                    case = Case(self._plan, app, mode, self._target(app, mode), self.node, instance)
                    row = await case.run()
                    _say(_line(row))
                    rows.append({**row, "log": case.log.as_dict()})
        finally:
            for app, _ in self._apps.values():
                await asyncio.to_thread(app.space.destroy)
            (self._folder / "agent.log").write_text(self.node.log())
            await asyncio.to_thread(self.node.destroy)
        return rows

    def _target(self, app: Application, mode: str) -> Target:
        if mode == "without":
            return Target(app.space.address, PORT)
        number = MODES.index(mode) * 20 + list(self._apps).index(app.name)
        return Target("127.0.0.1", self._fronts[app.name, mode], f"127.{number}.{{}}.{{}}")

    async def _serve(self, service: dict[str, Any]) -> None:
        """Let the agent serve this service only, so that it warms no other."""
        file = self.node.here / "services.d/all.yaml"
        file.write_text(yaml.safe_dump({"services": [service]}))
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            with contextlib.suppress(UnreachableError, RefusedError):
                await asyncio.to_thread(self.node.client.reload, {})
                served = await asyncio.to_thread(self.node.client.services, {})
                if [one["name"] for one in served if one["reached"]] == [service["name"]]:
                    return
            await asyncio.sleep(0.3)
        raise RuntimeError(f"the guest is not reached: {self.node.log()[-3000:]}")


def _line(row: dict[str, Any]) -> str:
    wrong = ", ".join(
        f"{row[name]} {name}"
        for name in ("failed", "lost", "doubled", "foreign", "old", "cut", "broken")
        if row[name]
    )
    return (
        f"  {row['prompt_percent']:.0f} % of {row['silent_requests']} prompt, "
        f"{row['cached_percent']:.0f} % from the cache, {row['held']} held "
        f"(p50 {row['held_p50']}, p99 {row['held_p99']} s after), {wrong or 'no fault'}"
    )  # fmt: skip


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tools/sites", description=__doc__)
    parser.add_argument("--apps", default=",".join(APPLICATIONS), help="names, with commas")
    parser.add_argument("--modes", default=",".join(MODES), help="without, safe, consent")
    parser.add_argument("--silences", default="3,8", help="seconds of each, with commas")
    parser.add_argument("--seed", type=int, default=1, help="of all that visitors decide")
    parser.add_argument("--rate", type=float, default=1.0, help="factor of the sessions")
    parser.add_argument("--no-browsers", action="store_true", help="only the load")
    parser.add_argument("--packages", type=Path, required=True, help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help="directory for the logs; it must not exist")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--report", type=Path, help="directory for the page with the figures")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Return 0 if no mode has a fault."""
    options = _parser().parse_args(argv)
    plan = Plan(
        tuple(options.apps.split(",")),
        tuple(options.modes.split(",")),
        tuple(map(float, options.silences.split(","))),
        options.seed,
        not options.no_browsers,
        options.rate,
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(prefix="sites-", ignore_cleanup_errors=True)
            )
        )
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        rows = asyncio.run(Run(plan, options.packages, folder).run())
    if options.report:
        _say(f"report: {write_report(rows, options.report)}")
    if options.keep:
        (options.keep / "log.json").write_text(json.dumps(rows))
    for row in rows:
        del row["log"]
    print(json.dumps(rows, indent=2))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    controls = {row["app"]: row for row in rows if row["mode"] == "without"}
    wrong = False
    for row in rows:
        for sentence in faults(row, controls.get(row["app"])):
            _say(f"{row['title']}, {row['mode']}: {sentence}")
            wrong = True
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

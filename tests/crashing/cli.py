"""Command line of ``tests/crash``."""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

from tests.crashing.oplog import FAULTS, Verdict
from tests.crashing.planted import PLANTED
from tests.crashing.restarts import Restarts
from tests.crashing.run import Plan, Run, execute
from tests.functional.journal.servers import MariaDB, PostgreSQL, Server

_RESTART_EVERY: Final = 5.0  # seconds between restarts of the database
_SERVERS: Final[dict[str, type[Server]]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}
_EDGE_SHARE: Final = 0.3  # of the kills: a whole agent behind HAProxy
_LIMIT: Final = 60  # kills within which a planted fault must be found
_STEP: Final = 5  # kills between two looks for a planted fault
_WRITES: Final = 40  # writes per kill with a planted fault


def outcome(runs: list[tuple[Run, Verdict]], seconds: float) -> dict[str, Any]:
    """Return the figures for ``--json``."""
    verdicts = [verdict for _, verdict in runs]
    return {
        "kills": sum(run.kills for run, _ in runs),
        "writes": sum(verdict.writes for verdict in verdicts),
        "acknowledged": sum(verdict.acknowledged for verdict in verdicts),
        "journalled": sum(verdict.journalled for verdict in verdicts),
        "reads": sum(verdict.reads for verdict in verdicts),
        "handovers": sum(verdict.handovers for verdict in verdicts),
        **{fault: sum(len(getattr(one, fault)) for one in verdicts) for fault in FAULTS},
        "in_doubt_listed": sum(verdict.in_doubt_listed for verdict in verdicts),
        "reapplied_idempotent": sum(verdict.reapplied for verdict in verdicts),
        "kills_by_point": [run.by_point for run, _ in runs],
        "seconds": round(seconds, 1),
    }


async def kills_until_found(
    name: str, seed: int = 1, wanted: Collection[str] = ()
) -> tuple[int | None, Verdict]:
    """Return the kills until the judge found a planted fault, or None, and the last verdict.

    ``wanted``: the kinds of which one must show; empty: any.
    """
    plant = PLANTED[name]
    plan = Plan(
        kills=_LIMIT,
        writes=_LIMIT * _WRITES,
        honours_keys=plant.honours_keys,
        seed=seed,
        edge=plant.edge,
        power=plant.power,
        grace=plant.grace,
        planted=name,
    )
    directory = Path(tempfile.mkdtemp(prefix="crash-"))
    try:
        run = Run(plan, directory)
        async with run.started():
            for kills in range(_STEP, _LIMIT + 1, _STEP):
                await run.kill(kills)
                verdict = await run.judge()
                if verdict.faults.keys() & set(wanted or verdict.faults):
                    return run.kills, verdict
        return None, verdict
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _with_server(plan: Plan, make: type[Server]) -> tuple[tuple[Run, Verdict], int]:
    """Run over a new database server. Returns also the number of its restarts."""
    if (why := make.missing()) is not None:
        raise SystemExit(why)
    server = make()
    try:
        restarts = Restarts(server, _RESTART_EVERY, plan.seed)
        plan = dataclasses.replace(plan, connection=server.url)
        return asyncio.run(execute(plan, restarts)), restarts.count
    finally:
        server.destroy()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/crash", description="Kill the write path.")
    parser.add_argument("--kills", type=int, default=100, help="minimum number of kill -9")
    parser.add_argument("--writes", type=int, default=5000, help="minimum number of writes")
    parser.add_argument(
        "--seed", type=int, default=int(time.time()), help="for the random generators"
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--connection", help="SQLAlchemy URL instead of SQLite")
    where.add_argument(
        "--server", choices=sorted(_SERVERS), help="start a database server and restart it"
    )
    where.add_argument(
        "--power-cuts", type=int, metavar="N",
        help="instead of kills: cut the power of an ext4 in a loop file; needs root",
    )  # fmt: skip
    where.add_argument(
        "--planted", nargs="?", const="all", choices=["all", *PLANTED], metavar="FAULT",
        help="plant this fault, or each one, and count the kills until the judge finds it",
    )  # fmt: skip
    parser.add_argument(
        "--edge", type=float, default=_EDGE_SHARE, metavar="SHARE",
        help="share of the kills that a whole agent behind HAProxy gets; 0.3 by default",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def _plans(options: argparse.Namespace) -> list[Plan]:
    """Return the runs: guests that honour keys and that do not, without an edge and with one."""
    kills = options.power_cuts or options.kills
    alone = options.power_cuts or options.server or options.connection
    edge = 0.0 if alone else min(max(options.edge, 0.0), 1.0)
    plans = []
    for keys in (True, False):
        for behind, share in ((False, 1 - edge), (True, edge)):
            if share:
                plan = Plan(
                    kills=max(1, round(kills * share / 2)),
                    writes=round(options.writes * share / 2),
                    honours_keys=keys,
                    seed=options.seed + keys,
                    connection=options.connection,
                    power=options.power_cuts is not None,
                    edge=behind,
                )
                plans.append(plan)
    return plans


def _report(figures: dict[str, Any], path: Path | None) -> None:
    text = json.dumps(figures, indent=2)
    print(text)
    if path:
        path.write_text(text + "\n")


def _plant(options: argparse.Namespace) -> int:
    found: dict[str, int | None] = {}
    for name in PLANTED if options.planted == "all" else [options.planted]:
        found[name], verdict = asyncio.run(kills_until_found(name, options.seed))
        print(f"{name}: {found[name]} kills: {verdict.faults}", file=sys.stderr)
    _report({"planted": found, "seed": options.seed}, options.json)
    return 1 if None in found.values() else 0


def main(argv: list[str] | None = None) -> int:
    """Run all plans. Returns 0 without a fault, or if the judge finds each planted one."""
    options = _parser().parse_args(argv)
    if options.planted:
        return _plant(options)
    began = time.monotonic()
    runs, restarts = [], 0
    for plan in _plans(options):
        if options.server:
            run, count = _with_server(plan, _SERVERS[options.server])
            restarts += count
        else:
            run = asyncio.run(execute(plan))
        runs.append(run)
    figures = outcome(runs, time.monotonic() - began) | {"seed": options.seed}
    if options.power_cuts:
        figures["power_cuts"] = figures.pop("kills")
    if options.server:
        figures |= {"database": options.server, "database_restarts": restarts}
    _report(figures, options.json)
    for _, verdict in runs:
        for name, found in verdict.faults.items():
            print(f"{name}: {found[:20]}", file=sys.stderr)
    return 1 if any(verdict.faults for _, verdict in runs) else 0

"""The command line of benchmarks/placement."""

from __future__ import annotations

import argparse
import concurrent.futures
import functools
import json
import math
import pathlib
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.placementlib import readers, report, score, trials
from nova_cachemig.forecast import adaptive, local, pooled, simple, smoothing
from nova_cachemig.forecast.contract import Forecaster

METHODS: tuple[type[Forecaster], ...] = (
    simple.LastValue,
    simple.WindowMean,
    simple.Ewma,
    simple.SlowEwma,
    smoothing.Holt,
    local.LocalRegression,
    pooled.PooledRegression,
    adaptive.Adaptive,
)
MORE: tuple[type[Forecaster], ...] = (smoothing.HoltWinters,)


def parser() -> argparse.ArgumentParser:
    """Return the parser; its defaults are those of the published figures."""
    p = argparse.ArgumentParser(
        prog="placement",
        description="Forecast error, quantile coverage and placement regret on load traces.",
    )
    add = p.add_argument
    add(
        "paths",
        nargs="+",
        metavar="PATH",
        type=pathlib.Path,
        help="a folder or tar(.gz) of text files (one per machine), or a Parquet file",
    )
    add(
        "--interval",
        type=float,
        default=300.0,
        metavar="SECONDS",
        help="time between samples (default %(default)g)",
    )
    add(
        "--column",
        type=_column,
        metavar="N",
        help="column of a text file, counted from 1 (default: the last)",
    )
    add("--match", default="", metavar="REGEX", help="read only files whose path matches")
    add(
        "--split",
        choices=("time", "machine"),
        default="",
        help="judge only the second half of the time, or half of the machines",
    )
    add(
        "--seeds", type=_count, default=100, metavar="N", help="random clouds (default %(default)d)"
    )
    add(
        "--first-seed",
        type=_seed,
        default=0,
        metavar="N",
        help="first seed; seeds below 1000 were used for tuning (default %(default)d)",
    )
    add(
        "--instants",
        type=_count,
        default=8,
        metavar="N",
        help="forecasts per seed (default %(default)d)",
    )
    add(
        "--hosts",
        type=_count,
        default=20,
        metavar="N",
        help="hosts per cloud (default %(default)d)",
    )
    add(
        "--vms",
        type=_count,
        default=10,
        metavar="N",
        help="machines per host (default %(default)d)",
    )
    add(
        "--horizon",
        type=float,
        default=3600.0,
        metavar="SECONDS",
        help="forecast horizon (default %(default)g)",
    )
    add(
        "--stay",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="time over which the chosen host is judged (default: the horizon)",
    )
    add(
        "--history",
        type=float,
        default=7 * 86400.0,
        metavar="SECONDS",
        help="maximum history of the methods (default: a week)",
    )
    add(
        "--warmup",
        type=float,
        default=7200.0,
        metavar="SECONDS",
        help="minimum history of a forecast (default %(default)g)",
    )
    add(
        "--all-methods",
        action="store_true",
        help="also Holt-Winters, which needs days of history",
    )
    add("--jobs", type=_count, default=1, metavar="N", help="processes (default 1)")
    add("--json", type=pathlib.Path, metavar="FILE", help="write the results to FILE")
    return p


def _column(text: str) -> int:
    column = int(text)
    if column < 1:
        raise argparse.ArgumentTypeError("columns are counted from 1")
    return column


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return count


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError("a seed is not negative")
    return seed


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return the exit status."""
    args = parser().parse_args(argv)
    plan = trials.Plan(
        interval=args.interval,
        hosts=args.hosts,
        vms=args.vms,
        horizon=args.horizon,
        warmup=args.warmup,
        history=args.history,
        instants=args.instants,
        split=args.split,
        stay=args.stay,
    )
    methods = [method() for method in METHODS + (MORE if args.all_methods else ())]
    results: dict[str, dict[str, dict[str, Any]]] = {}
    for path in args.paths:
        try:
            results[_unused(readers.trace_name(path), results)] = scores = _trace(
                path, plan, methods, args
            )
        except readers.TraceError as e:
            print(f"placement: {e}", file=sys.stderr)
            return 1
        print(report.table(list(results)[-1], scores, args.seeds), flush=True)
    if args.json:
        args.json.write_text(json.dumps(_plain(results), indent=2) + "\n")
    return 0


def _trace(
    path: pathlib.Path, plan: trials.Plan, methods: Sequence[Forecaster], args: argparse.Namespace
) -> dict[str, dict[str, Any]]:
    options = readers.Options(args.interval, args.column, args.match)
    panels = trials.usable(readers.read(path, options), plan)
    one = functools.partial(trials.run, panels, plan, methods)
    seeds = range(args.first_seed, args.first_seed + args.seeds)
    if args.jobs == 1:
        return score.score([one(seed) for seed in seeds])
    with concurrent.futures.ProcessPoolExecutor(args.jobs) as pool:
        return score.score(list(pool.map(one, seeds, chunksize=4)))


def _unused(name: str, taken: dict[str, Any]) -> str:
    """Return the name, with a number if it is taken."""
    number = 2
    unique = name
    while unique in taken:
        unique, number = f"{name} ({number})", number + 1
    return unique


def _plain(value: Any) -> Any:
    """Replace infinity, which JSON lacks, by null."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

"""Runs many seeds, in two processes, and the planted faults."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tests.simulating.planted import PLANTED
from tests.simulating.world import Result, World

_CHUNK = 50  # seeds
_TRACE = 60  # lines
_LIMIT = 1000  # seeds in which a planted fault must be caught


def simulate(seed: int, *, trace: bool = False) -> Result:
    """Run one seed."""
    return World(seed, trace=trace).run()


def _chunk(seeds: range) -> tuple[int, list[tuple[int, list[str]]]]:
    results = [simulate(seed) for seed in seeds]
    failed = [(result.seed, result.faults) for result in results if result.faults]
    return sum(result.writes for result in results), failed


def _seeds_until_caught(name: str) -> int | None:
    with PLANTED[name]():
        for seed in range(1, _LIMIT + 1):
            try:
                if simulate(seed).faults:
                    return seed
            except Exception:  # the fault broke the machine itself, which counts
                return seed
    return None


def _print_trace(seed: int) -> None:
    result = simulate(seed, trace=True)
    for line in result.lines[-_TRACE:]:
        print(line)
    for fault in result.faults:
        print(f"seed {seed}: {fault}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tests/simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="number of seeds")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--seed", type=int, help="run one seed, and print all that happens")
    parser.add_argument("--planted", choices=sorted(PLANTED), help="plant this fault in it")
    parser.add_argument("--no-planted", action="store_true", help="plant no faults")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, help="file for the figures")
    return parser


def _all(options: argparse.Namespace) -> dict[str, Any]:
    began = time.monotonic()
    last = options.first + options.seeds
    chunks = [
        range(first, min(first + _CHUNK, last)) for first in range(options.first, last, _CHUNK)
    ]
    writes, failed = 0, []
    with ProcessPoolExecutor(options.processes) as pool:
        for count, faults in pool.map(_chunk, chunks):
            writes += count
            failed += faults
        seconds = time.monotonic() - began
        names = [] if options.no_planted else sorted(PLANTED)
        planted = dict(zip(names, pool.map(_seeds_until_caught, names), strict=True))
    return {
        "seeds": options.seeds,
        "writes": writes,
        "failures": len(failed),
        "writes_per_s": round(writes / seconds),
        "planted": planted,
        "failed": [{"seed": seed, "faults": faults} for seed, faults in failed],
        "seconds": round(time.monotonic() - began, 1),
    }


def main(argv: list[str] | None = None) -> int:
    """Return 0 if no seed fails and each planted fault is caught."""
    options = _parser().parse_args(argv)
    if options.seed is not None:
        with PLANTED[options.planted]() if options.planted else contextlib.nullcontext():
            return _one(options.seed)
    figures = _all(options)
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    shown = {name: value for name, value in figures.items() if name != "failed"}
    print(json.dumps(shown, indent=2))
    for failure in figures["failed"][:3]:
        _print_trace(failure["seed"])
    missed = [name for name, seeds in figures["planted"].items() if seeds is None]
    if missed:
        print(f"not caught: {', '.join(missed)}", file=sys.stderr)
    return 1 if figures["failures"] or missed else 0


def _one(seed: int) -> int:
    """Run one seed and print its whole trace."""
    result = simulate(seed, trace=True)
    print(*result.lines, sep="\n")
    for fault in result.faults:
        print(f"seed {seed}: {fault}")
    return 1 if result.faults else 0

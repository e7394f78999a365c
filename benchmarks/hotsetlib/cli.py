"""The command line of benchmarks/hotset."""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.hotsetlib import logs, methods, trials
from nova_cachemig.model.access import AccessRecord
from nova_cachemig.popularity.hotset import HotSetLimits

WINDOWS = (1.0, 10.0, 60.0, 300.0)
SIZES = (100, 1000, trials.ALL)


def parser() -> argparse.ArgumentParser:
    """Return the parser; its defaults are those of the published figures."""
    p = argparse.ArgumentParser(
        prog="hotset",
        description="Measures hot sets, taken at random instants of real access logs, by their hit "
        "rate in the next seconds and minutes; also during a flood of distinct URLs.",
    )
    add = p.add_argument
    add("paths", nargs="+", metavar="PATH", type=pathlib.Path, help="an access log, also as .gz")
    add(
        "--instants",
        type=int,
        default=1000,
        metavar="N",
        help="number of random instants (default %(default)d)",
    )
    add("--seed", type=int, default=1, metavar="N", help="seed of the instants (%(default)d)")
    add(
        "--flood",
        type=int,
        default=10,
        metavar="N",
        help="distinct URLs of the flood for each real request (default %(default)d)",
    )
    add(
        "--capacity",
        type=int,
        default=500,
        metavar="N",
        help="pages that a method may store during the flood (default %(default)d)",
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="write all results to this file")
    return p


def _flood(each: int, seed: int) -> Callable[[AccessRecord], Sequence[AccessRecord]]:
    """Return a source of scanners: each address requests 50 URLs and then disappears."""
    draw, made = random.Random(seed), 0

    def noise(real: AccessRecord) -> list[AccessRecord]:
        nonlocal made
        made += each
        return [
            dataclasses.replace(
                real,
                client=f"scanner-{(made + i) // 50}",
                url=f"/find?q={draw.getrandbits(40)}",
                method="GET",
                status=200,
            )
            for i in range(each)
        ]

    return noise


def _plain(records: Sequence[AccessRecord], args: argparse.Namespace) -> list[trials.Cell]:
    return trials.run(
        records,
        [
            methods.MostUsed(),
            methods.Decayed(600.0),
            methods.Decayed(3600.0),
            methods.LeastRecent(),
            methods.Default(),
        ],
        instants=args.instants,
        sizes=SIZES,
        windows=WINDOWS,
        seed=args.seed,
    )


def _flooded(records: Sequence[AccessRecord], args: argparse.Namespace) -> list[trials.Cell]:
    return trials.run(
        records,
        [
            methods.SpaceSaving(args.capacity),
            methods.LeastRecent(args.capacity),
            methods.Default(HotSetLimits(pages_per_service=args.capacity)),
        ],
        instants=args.instants // 5,
        sizes=(100, trials.ALL),
        windows=WINDOWS,
        seed=args.seed,
        noise=_flood(args.flood, args.seed),
    )


def _size(size: int) -> str:
    return "all" if size == trials.ALL else str(size)


def table(cells: Sequence[trials.Cell]) -> str:
    """Return a table: a row for each method and size, a column for each window, the best marked."""
    names = list(dict.fromkeys(c.method for c in cells))
    sizes = list(dict.fromkeys(c.size for c in cells))
    by = {(c.method, c.size, c.window): c for c in cells}
    lines = [f"{'size':>5}  {'method':<16}" + "".join(f"{w:>10g} s" for w in WINDOWS)]
    for size in sizes:
        best = {w: max(round(by[n, size, w].rate, 4) for n in names) for w in WINDOWS}
        for name in names:
            shown = ""
            for window in WINDOWS:
                rate = round(by[name, size, window].rate, 4)
                shown += f"{100 * rate:>10.2f}" + (" *" if rate >= best[window] else "  ")
            lines.append(f"{_size(size):>5}  {name:<16}{shown}")
    return "\n".join(lines)


def verdicts(cells: Sequence[trials.Cell]) -> list[dict[str, Any]]:
    """Compare the default with the best other method, for each size and window.

    The difference of the hit rates has a 95 % interval.
    """
    found = []
    for mine in (c for c in cells if c.method == methods.Default.name):
        others = [
            c
            for c in cells
            if (c.size, c.window) == (mine.size, mine.window) and c.method != mine.method
        ]
        best = max(others, key=lambda c: c.rate)
        low, high = trials.difference(mine, best)
        found.append(
            {
                "size": _size(mine.size),
                "window_s": mine.window,
                "requests": sum(mine.requests),
                "default": mine.rate,
                "best_other": best.method,
                "best_other_rate": best.rate,
                "difference": mine.rate - best.rate,
                "interval_95": [low, high],
                "verdict": "better" if low > 0 else "worse" if high < 0 else "equal",
            }
        )
    return found


def _part(title: str, cells: Sequence[trials.Cell]) -> dict[str, Any]:
    judged = verdicts(cells)
    print(f"\n{title}\n{table(cells)}")
    for v in judged:
        low, high = v["interval_95"]
        print(
            f"  size {v['size']:>4}, {v['window_s']:>3g} s, {v['requests']} requests: default "
            f"{v['verdict']} ({100 * v['difference']:+.2f} points on {v['best_other']}, "
            f"95 %: {100 * low:+.2f} to {100 * high:+.2f})"
        )
    rates = [
        {"method": c.method, "size": _size(c.size), "window_s": c.window, "hit_rate": c.rate}
        for c in cells
    ]
    return {"rates": rates, "verdicts": judged}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if a log cannot be read or the default is worse anywhere."""
    args = parser().parse_args(argv)
    out: dict[str, Any] = {"instants": args.instants, "seed": args.seed, "logs": {}}
    for path in args.paths:
        try:
            records = logs.read(path)
        except logs.LogError as exc:
            print(f"hotset: {exc}", file=sys.stderr)
            return 1
        began = time.perf_counter()
        hours = (records[-1].at - records[0].at) / 3600
        title = f"{path.name}: {len(records)} requests in {hours:.1f} h"
        plain = _part(f"{title}. Hit rate, %", _plain(records, args))
        flooded = _part(
            f"{path.name}, {args.capacity} pages, {args.flood} random URLs per "
            "real request. Hit rate of real requests, %",
            _flooded(records, args),
        )
        out["logs"][path.name] = {
            "requests": len(records),
            "plain": plain,
            "flood": flooded,
            "took_s": round(time.perf_counter() - began, 1),
        }
    if args.json:
        args.json.write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")
    outcomes = [
        v["verdict"]
        for log in out["logs"].values()
        for part in ("plain", "flood")
        for v in log[part]["verdicts"]
    ]
    print(
        f"\ndefault against the best other: {outcomes.count('better')} better, "
        f"{outcomes.count('equal')} equal, {outcomes.count('worse')} worse"
    )
    return 1 if "worse" in outcomes else 0

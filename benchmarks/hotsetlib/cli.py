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
from nova_cachemig.popularity.hotset import Limits

WINDOWS = (1.0, 10.0, 60.0, 300.0)
SIZES = (100, 1000, trials.ALL)


def parser() -> argparse.ArgumentParser:
    """The options; their defaults are those of the published figures."""
    p = argparse.ArgumentParser(
        prog="hotset",
        description="Hit rate of hot sets, taken at random instants of real access logs, over the "
        "windows that follow. Also with a scanner that asks for endless distinct URLs.",
    )
    add = p.add_argument
    add("paths", nargs="+", metavar="PATH", type=pathlib.Path, help="access log, or .gz of one")
    add("--instants", type=int, default=1000, metavar="N", help="default %(default)d")
    add("--seed", type=int, default=1, metavar="N", help="of the instants (default %(default)d)")
    add(
        "--flood",
        type=int,
        default=10,
        metavar="N",
        help="distinct URLs that nobody else wants, for each real request (default %(default)d)",
    )
    add(
        "--capacity",
        type=int,
        default=500,
        metavar="N",
        help="pages that a method may keep during the flood (default %(default)d)",
    )
    add("--json", type=pathlib.Path, metavar="FILE", help="write all figures there")
    return p


def _flood(each: int, seed: int) -> Callable[[AccessRecord], Sequence[AccessRecord]]:
    """A crowd of scanners: each address asks for 50 URLs, then is not seen again."""
    draw, made = random.Random(seed), 0

    def noise(real: AccessRecord) -> list[AccessRecord]:
        nonlocal made
        made += each
        return [
            dataclasses.replace(
                real,
                client=f"scanner-{(made + i) // 50}",
                url=f"/find?q={draw.getrandbits(64):x}",
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
            methods.Default(Limits(pages_per_service=args.capacity)),
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
    """One row a method and size, one column a window; the best of each marked."""
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
    """For each size and window: the default less the best other, with its 95 % interval."""
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
    """Exit status 1 if a log cannot be read or the default is worse somewhere."""
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
            f"{path.name}, room for {args.capacity} pages, {args.flood} random URLs for each "
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
    said = [
        v["verdict"]
        for log in out["logs"].values()
        for part in ("plain", "flood")
        for v in log[part]["verdicts"]
    ]
    print(
        f"\ndefault against the best other: {said.count('better')} better, "
        f"{said.count('equal')} equal, {said.count('worse')} worse"
    )
    return 1 if "worse" in said else 0

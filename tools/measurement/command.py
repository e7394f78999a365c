"""The command line of ``tools/measure``."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.measurement import environment, guestlog, phases, plan, reads, session
from tools.measurement.analysis.outcome import Run, RunError
from tools.measurement.analysis.page import page
from tools.measurement.analysis.result import in_order, result
from tools.measurement.analysis.speed import BUSY
from tools.measurement.analysis.table import table
from tools.measurement.load import Manner
from tools.measurement.target import TargetError, sources

_ERRORS = (
    RunError,
    TargetError,
    session.SessionError,
    guestlog.GuestLogError,
    phases.PhasesError,
    reads.ReadsError,
)


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return value


def _none_or_more(text: str) -> int:
    return 0 if text == "0" else _count(text)


class _WithDefaults(argparse.HelpFormatter):
    """Shows the default of each option that has one."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default in (None, False, argparse.SUPPRESS, []):
            return action.help
        return f"{action.help} (default: %(default)s)"


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    top = argparse.ArgumentParser(
        prog="tools/measure",
        description="Measure the effect of a live migration on the users of an HTTP service.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    load = commands.add_parser(
        "load",
        help="do one run: load, probe, check of the guest's log",
        formatter_class=_WithDefaults,
    )
    _target_options(load)
    _load_options(load)
    _truth_options(load)
    load.add_argument(
        "--out", type=Path, required=True, metavar="RUN.json", help="file for the result"
    )
    report = commands.add_parser(
        "report", help="print a table of runs, write result.json and result.html"
    )
    report.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN.json", help="result of a run of load"
    )
    report.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="directory for both files"
    )
    applied = commands.add_parser(
        "applied", help="print the input of load --applied, from the journal of a cache node"
    )
    applied.add_argument("--config-file", required=True, help="the agent's configuration file")
    applied.add_argument("--service", required=True, help="name of the service")
    applied.add_argument(
        "--since",
        type=float,
        default=0.0,
        help="only writes accepted at this time or later, in UNIX seconds (default: all)",
    )
    return top


def _target_options(load: argparse.ArgumentParser) -> None:
    group = load.add_argument_group("target")
    group.add_argument(
        "--url", required=True, help="URL of the service; its path is the prefix of all paths"
    )
    group.add_argument("--host-header", help="Host header (default: the host of the URL)")
    group.add_argument("--insecure", action="store_true", help="accept any TLS certificate")
    group.add_argument(
        "--source-addresses",
        metavar="LIST",
        help="addresses of the virtual clients: A,B or FIRST-LAST or a CIDR prefix",
    )


def _load_options(load: argparse.ArgumentParser) -> None:
    group = load.add_argument_group("load")
    group.add_argument("--rate", type=_positive, default=120.0, help="requests per second")
    group.add_argument(
        "--duration", type=_positive, default=60.0, help="length of the run in seconds"
    )
    group.add_argument("--stop-file", type=Path, help="end the run when this file exists")
    group.add_argument(
        "--arrivals",
        choices=("poisson", "uniform"),
        default="poisson",
        help="distribution of the times of requests",
    )
    group.add_argument("--seed", type=int, default=1, help="seed of the random times and paths")
    group.add_argument("--writes", type=_share, default=0.2, help="share of writes, 0 to 1")
    group.add_argument(
        "--item-reads", type=_share, default=0.1, help="share of reads of items, 0 to 1"
    )
    group.add_argument("--items", type=_count, default=100, help="number of items")
    group.add_argument("--item", default="/item/{k}", help="template of the path of an item")
    group.add_argument("--pages", type=_count, default=100, help="number of pages")
    group.add_argument("--page", default="/page/{n}", help="template of the path of a page")
    group.add_argument(
        "--zipf",
        type=float,
        default=1.0,
        help="exponent of the Zipf distribution of reads over pages",
    )
    group.add_argument(
        "--no-cover", action="store_true", help="do not request each page once at the start"
    )
    group.add_argument(
        "--access-log", type=Path, help="pages to read: a combined log, or lines of path<TAB>count"
    )
    group.add_argument("--clients", type=_count, default=200, help="number of virtual clients")
    group.add_argument(
        "--writers",
        type=_none_or_more,
        default=0,
        help="number of clients that only write; the others only read (0: all do both)",
    )
    group.add_argument(
        "--connections",
        choices=("new", "keepalive"),
        default="new",
        help="a new connection for each request, or persistent ones",
    )
    group.add_argument(
        "--impatient",
        type=_share,
        default=0.0,
        help="share of requests by clients with a pending write",
    )
    group.add_argument(
        "--timeout",
        type=_positive,
        default=60.0,
        help="seconds within which the response must be complete",
    )
    group.add_argument(
        "--body-bytes", type=_count, default=200, help="size of a write's body, in bytes"
    )
    group.add_argument(
        "--idempotency-keys", action="store_true", help="send an Idempotency-Key with each write"
    )
    group.add_argument(
        "--respond-async", action="store_true", help="send Prefer: respond-async with each write"
    )
    group.add_argument(
        "--surge",
        type=_none_or_more,
        default=0,
        metavar="WRITES",
        help="number of additional writes, sent once, when the probe gets no response",
    )
    group.add_argument(
        "--surge-rate", type=_positive, default=1000.0, help="rate of these writes, per second"
    )
    group.add_argument(
        "--expect",
        type=int,
        nargs="*",
        default=[],
        metavar="4xx",
        help="statuses that do not count as failures",
    )


def _truth_options(load: argparse.ArgumentParser) -> None:
    group = load.add_argument_group("guest and report")
    group.add_argument("--probe", help="URL of a small resource on the guest itself")
    group.add_argument(
        "--probe-interval", type=_positive, default=0.02, help="seconds between probes"
    )
    group.add_argument("--log", help="URL or file of the guest's log of writes")
    group.add_argument(
        "--log-format", choices=("tsv", "jsonl", "regex"), default="tsv", help="format of --log"
    )
    group.add_argument(
        "--log-pattern",
        help="regular expression with the groups method, path, request, seq, body, for the format "
        "regex",
    )
    group.add_argument(
        "--case", default="run", help="name of the case; a report compares the runs of one case"
    )
    group.add_argument(
        "--protected",
        action="store_true",
        help="nova-cachemig protects the service in this run; without it, a control run",
    )
    group.add_argument(
        "--phases",
        type=Path,
        action="append",
        default=[],
        help="JSON file, read after the load: name → UNIX seconds, or a handover; repeatable",
    )
    group.add_argument(
        "--applied",
        type=Path,
        help="JSON file, read after the load: request id → UNIX seconds of the guest's response to "
        "a write with a 202",
    )


def _settings(args: argparse.Namespace) -> session.Settings:
    if args.writers >= args.clients:
        raise session.SessionError("--writers: no client is left for reads")
    if args.log_format == "regex" and not args.log_pattern:
        raise session.SessionError("--log-format regex needs --log-pattern")
    parse = {"tsv": guestlog.tsv, "jsonl": guestlog.jsonl}.get(args.log_format)
    return session.Settings(
        url=args.url,
        case=args.case,
        protected=args.protected,
        rate=args.rate,
        duration=args.duration,
        stop_file=args.stop_file,
        law=args.arrivals,
        seed=args.seed,
        pages=args.pages,
        page=args.page,
        cover=not args.no_cover,
        access_log=args.access_log,
        mix=plan.Mix(args.writes, args.item_reads, args.items, args.item, args.zipf),
        manner=Manner(
            clients=args.clients,
            writers=args.writers,
            keepalive=args.connections == "keepalive",
            impatient=args.impatient,
            timeout=args.timeout,
            body_bytes=args.body_bytes,
            idempotency_keys=args.idempotency_keys,
            respond_async=args.respond_async,
            expected=frozenset(args.expect),
        ),
        sources=tuple(sources(args.source_addresses)),
        host_header=args.host_header,
        insecure=args.insecure,
        probe=args.probe,
        probe_interval=args.probe_interval,
        log=args.log,
        parse_log=parse or guestlog.regex(args.log_pattern),
        phases=tuple(args.phases),
        surge=args.surge,
        surge_rate=args.surge_rate,
        applied=args.applied,
    )


def read_run(path: Path) -> Run:
    """The run in a file; raises RunError."""
    try:
        return Run.from_wire(json.loads(path.read_text()))
    except OSError as exc:
        raise RunError(f"{path}: {exc.strerror}") from exc
    except ValueError as exc:
        raise RunError(f"{path}: {exc}") from exc


def write_report(runs: Sequence[Run], out: Path) -> dict[str, Any]:
    """Write ``result.json`` and ``result.html`` to ``out``; return the result."""
    out.mkdir(parents=True, exist_ok=True)
    ordered = in_order(runs)
    about: dict[str, Any] = environment.collect()
    for run in ordered:
        about |= run.environment
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    found = result(ordered, generated_at=now, environment=about)
    (out / "result.json").write_text(json.dumps(found, indent=1) + "\n")
    (out / "result.html").write_text(page(ordered, found))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """0; 1 if a claim failed; 2 if nothing could be measured or judged."""
    args = parser().parse_args(argv)
    try:
        if args.command == "load":
            run = session.main(_settings(args))
            args.out.parent.mkdir(parents=True, exist_ok=True)
            args.out.write_text(json.dumps(run.to_wire()))
            print(table(result([run], generated_at="", environment={}) | {"claims": []}))
            return 0
        if args.command == "applied":
            from tools.measurement import applied  # it needs the agent, which the load does not

            print(json.dumps(applied.of_journal(args.config_file, args.service, args.since)))
            return 0
        found = write_report([read_run(path) for path in args.runs], args.out)
    except _ERRORS as exc:
        print(f"measure: {exc}", file=sys.stderr)
        return 2
    print(table(found))
    print(f"{args.out / 'result.json'}\n{args.out / 'result.html'}")
    return verdict(found)


def verdict(found: dict[str, Any]) -> int:
    """0: every claim holds; 1: one failed; 2: none failed, but the machine was too busy."""
    missed = [claim for claim in found["claims"] if not claim["ok"]]
    if any(not claim["busy"] for claim in missed):
        return 1
    for case in dict.fromkeys(claim["case"] for claim in missed):
        print(
            f"measure: {case} cannot be judged: the machine was more than {BUSY:g} times slower "
            "than at its best. Stop other work on it and measure again.",
            file=sys.stderr,
        )
    return 2 if missed else 0

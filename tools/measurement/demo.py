"""The demonstration: the same migrations under load, without nova-cachemig and with it.

Standard library only: it starts under the system's Python, before the cloud's environment exists.
The load and the report run in that environment.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tools.measurement.cases import CASES, DEFAULT, Case, chosen
from tools.measurement.cloud import ROOT, Cloud, CloudError

GUEST: Final = "shop"
# The users' addresses: one for each client, so that the edge can distinguish them.
USERS: Final = "10.78.0.0/22"
CLIENTS: Final = 400
RATE: Final = 105  # requests per second
WARM_UP: Final = 25.0  # seconds of load before the migration, in which the agent learns the pages
LONGEST: Final = 400.0  # seconds of load at most
ATTEMPTS: Final = 3  # measurements of a case at most, while the machine is too busy to judge it
_BUSY: Final = 2  # exit code of the report: no claim failed, but the machine was too busy


class Demo:
    """Runs cases on a cloud and writes their runs to a directory."""

    def __init__(
        self, cloud: Cloud, out: Path, *, keys: bool = False, profile: str | None = None
    ) -> None:
        """``keys``: the application honours Idempotency-Key, and the service says so.

        ``profile``: of ``tools/cloud``; None: the one that the cloud has.
        """
        self._cloud = cloud
        self._keys = keys
        self._as = () if profile is None else ("--as", profile)
        self._out = out
        self._began = time.monotonic()
        self._guest = ""
        self._uuid = ""
        self._shared: bool | None = None
        self.ready = False  # the guest runs and the edge can be put in front of it
        self.runs: list[Path] = []

    def say(self, text: str) -> None:
        """Print a line of progress, with the seconds since the start."""
        print(f"[{time.monotonic() - self._began:4.0f} s] {text}", file=sys.stderr, flush=True)

    def _prepare(self) -> None:
        """Boot the guest and route the users' addresses."""
        self._cloud.run("delete", "--all", quiet=True)
        keys = ("--property", "keys=honour") if self._keys else ()
        self._guest = self._cloud.run("boot", GUEST, *keys).strip().splitlines()[-1]
        self._uuid = json.loads(self._cloud.run("status", GUEST, quiet=True))["id"]
        self._cloud.on("client", "ip", "route", "replace", "local", USERS, "dev", "lo")
        self._cloud.on(
            "cache", "ip", "route", "replace", USERS, "via", self._cloud.address("client")
        )
        self._front(False)
        self.ready = True

    def case(self, case: Case) -> None:
        """Make both runs of a case."""
        if case.shared != self._shared:
            self.say(f"starting the cloud with {'shared' if case.shared else 'local'} storage")
            self._cloud.up(*self._as, "--shared" if case.shared else "--no-shared")
            self._shared, self.ready = case.shared, False
            self._prepare()
        self.say(f"{case.name}: preset {case.preset}")
        self._cloud.run("preset", case.preset, GUEST, quiet=True)
        if case.settings:
            self._cloud.run("set-migration", *case.settings, quiet=True)
        for attempt in range(1, ATTEMPTS + 1):
            runs = self._measure(case)
            if attempt == ATTEMPTS or self._judge(runs) != _BUSY:
                break
            self.say(f"{case.name}: the machine was too busy to judge it; measuring again")
        self.runs += runs

    def _measure(self, case: Case) -> list[Path]:
        """Make both runs; return their files."""
        runs = []
        for protected in (case.protected_first, not case.protected_first):
            self._front(protected)
            runs.append(self._run(case, protected))
        self._front(False)
        return runs

    def _judge(self, runs: Sequence[Path]) -> int:
        """The exit code of the report of these runs alone."""
        with tempfile.TemporaryDirectory() as scratch:
            return self._report(runs, Path(scratch), stdout=subprocess.DEVNULL)

    def _front(self, on: bool) -> None:
        """Put the edge in front of the guest, or remove it: a control run has no service."""
        listed = json.loads(self._cloud.manage("service", "list", "-f", "json") or "[]")
        known = any(entry.get("name") == GUEST for entry in listed)
        if known and not on:
            self._cloud.manage("service", "remove", GUEST)
        elif on and not known:
            listen = f"{self._cloud.front}:80"
            self._cloud.manage(
                *("service", "add", GUEST, "--instance", self._uuid),
                *("--port", "80", "--listen", listen),
                *(("--honours-keys",) if self._keys else ()),
            )
        if on:
            self._wait_front()

    def _wait_front(self) -> None:
        ask = (
            "import sys, urllib.request as u\n"
            f"sys.exit(u.urlopen('http://{self._cloud.front}/health', timeout=2).status != 200)"
        )
        for _ in range(30):
            try:
                self._cloud.on("client", self._cloud.python, "-c", ask)
                return
            except CloudError:
                time.sleep(1)
        raise CloudError(f"the front address {self._cloud.front} does not respond after 30 s")

    def _run(self, case: Case, protected: bool) -> Path:
        who = "with" if protected else "without"
        stem = self._out / "runs" / f"{case.name}-{who}"
        for old in stem.parent.glob(f"{stem.name}.*"):  # of an earlier attempt
            old.unlink()
        self.say(f"{case.name}, {who} nova-cachemig: load for {WARM_UP:.0f} s, then the migration")
        load = subprocess.Popen(self._load(case, protected, stem), stdout=subprocess.DEVNULL)
        try:
            time.sleep(WARM_UP)
            if load.poll() is not None:
                raise CloudError(f"the load ended with {load.returncode} before the migration")
            times = self._migrate(case)
            Path(f"{stem}.times.json").write_text(json.dumps(times))
            time.sleep(case.after)
            if protected:
                self._story(Path(f"{stem}.handover.json"))
                Path(f"{stem}.applied.json").write_text(self._applied(times["migrate"]))
        finally:
            Path(f"{stem}.stop").touch()
            load.wait(timeout=120)
        if load.returncode:
            raise CloudError(
                f"the load of {case.name}, {who} nova-cachemig, ended with {load.returncode}"
            )
        return Path(f"{stem}.json")

    def _load(self, case: Case, protected: bool, stem: Path) -> list[str]:
        guest = f"http://{self._guest}"
        words = ["--url", f"http://{self._cloud.front}" if protected else guest]
        words += ["--probe", f"{guest}/health", "--log", f"{guest}/log"]
        words += ["--rate", str(RATE), "--duration", str(LONGEST), "--clients", str(CLIENTS)]
        words += ["--case", case.name, "--out", f"{stem}.json", "--stop-file", f"{stem}.stop"]
        words += ["--phases", f"{stem}.times.json", "--phases", f"{stem}.handover.json"]
        words += ["--applied", f"{stem}.applied.json", *case.load]
        if protected:  # the guest itself has no route to them
            words += ["--protected", "--source-addresses", USERS]
        program = [self._cloud.python, str(ROOT / "tools" / "measure"), "load", *words]
        return self._cloud.command("exec", "client", "--", *program)

    def _migrate(self, case: Case) -> dict[str, float]:
        """Migrate the guest and wait for the end; return the events in UNIX seconds."""
        times = {"migrate": time.time()}
        printed = self._cloud.run("migrate", GUEST, *case.options, quiet=True)
        times["completed"] = time.time()
        report: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
        self.say(f"{report['source']} → {report['host']} in {report['seconds']} s")
        for event in report.get("events", []):
            name = "paused" if event["event"].startswith("suspended") else "resumed"
            times.setdefault(name, event["at"])
        return times

    def _story(self, path: Path) -> None:
        """Save the agent's record when the handover has ended."""
        why = "the agent has not ended it after 30 s"
        for _ in range(30):
            try:
                record = json.loads(
                    self._cloud.manage("handover", "show", self._uuid, "-f", "json")
                )
            except (CloudError, ValueError) as exc:
                why = str(exc)
            else:
                path.write_text(json.dumps(record))
                if record["outcome"]:
                    return
            time.sleep(1)
        self.say(f"the record of the handover is incomplete: {why}")  # the figures do not need it

    def _applied(self, since: float) -> str:
        """The output of ``tools/measure applied``: when writes with a 202 were applied."""
        words = ["--config-file", self._cloud.config, "--service", GUEST, "--since", str(since)]
        program = str(ROOT / "tools" / "measure")
        return self._cloud.on("cache", self._cloud.python, program, "applied", *words)

    def report(self) -> int:
        """Print the table, write result.json and result.html; return the exit code."""
        return self._report(self.runs, self._out)

    def _report(self, runs: Sequence[Path], out: Path, stdout: int | None = None) -> int:
        program = [self._cloud.python, str(ROOT / "tools" / "measure"), "report"]
        words = [*(str(run) for run in runs), "--out", str(out)]
        return subprocess.run([*program, *words], check=False, stdout=stdout).returncode


def _cases(text: str) -> list[Case]:
    try:
        return chosen(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def main() -> int:
    """0 if every claim holds, 1 if one failed, 2 if a case could not be run or judged."""
    parser = argparse.ArgumentParser(prog="tools/demo", description=__doc__.split("\n")[0])
    parser.add_argument(
        "--cases",
        type=_cases,
        default=",".join(DEFAULT),
        metavar="NAME,…",
        help=f"cases to run: {', '.join(CASES)} (default: {','.join(DEFAULT)})",
    )
    parser.add_argument(
        "--keys", action="store_true", help="let the application honour Idempotency-Key"
    )
    parser.add_argument(
        "--as",
        dest="profile",
        metavar="PROFILE",
        help="build the cloud as this deployment tool does, see tools/cloud (default: the profile "
        "of the running cloud, or plain)",
    )
    parser.add_argument("--keep", action="store_true", help="keep the cloud running")
    parser.add_argument(
        "--out",
        type=Path,
        default=ROOT / "demo-result",
        metavar="DIR",
        help="directory of the result (default: demo-result)",
    )
    args = parser.parse_args()
    out = args.out.resolve()
    shutil.rmtree(out / "runs", ignore_errors=True)
    (out / "runs").mkdir(parents=True)
    cloud = Cloud()
    demo = Demo(cloud, out, keys=args.keys, profile=args.profile)
    status = 0
    try:
        for case in args.cases:
            try:
                demo.case(case)
            except (CloudError, OSError, ValueError, KeyError, subprocess.TimeoutExpired) as exc:
                print(f"tools/demo: {case.name}: {exc}", file=sys.stderr)
                status = 2
                if not demo.ready:
                    break
        if demo.runs:
            status = max(status, demo.report())
    finally:
        if not args.keep:
            subprocess.run(cloud.command("down"), stdout=sys.stderr, check=False)
    demo.say("done")
    return status


if __name__ == "__main__":
    sys.exit(main())

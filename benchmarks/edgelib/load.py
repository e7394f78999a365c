"""Runs wrk and parses its report; describes the machine."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

from benchmarks.edgelib.rig import cpu_seconds

_CURL = ("curl", "-sfo/dev/null", "-HUser-Agent:", "-HAccept:")  # as wrk asks
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


@dataclasses.dataclass(frozen=True)
class Result:
    """One run of wrk. Latencies in milliseconds."""

    requests: int
    failed: int
    rate: float  # requests per second
    p50_ms: float
    p99_ms: float
    cpu_us: float  # CPU time of the engines per request


def _latency(report: str, percent: int) -> float:
    found = re.search(rf"^\s+{percent}%\s+([\d.]+)(us|ms|s|m)$", report, re.M)
    if found is None:
        raise ValueError(f"wrk reports no {percent}%: {report}")
    return float(found.group(1)) * _SECONDS[found.group(2)] * 1e3


def parse(report: str, cpu: float) -> Result:
    """Return the results. Raises ValueError if it is not a report of ``wrk --latency``."""
    total = re.search(r"^\s+(\d+) requests in", report, re.M)
    rate = re.search(r"^Requests/sec:\s+([\d.]+)$", report, re.M)
    if total is None or rate is None:
        raise ValueError(f"not a report of wrk: {report}")
    failed = sum(int(n) for n in re.findall(r"(?:connect|read|write|timeout) (\d+)", report))
    failed += sum(int(n) for n in re.findall(r"Non-2xx or 3xx responses: (\d+)", report))
    requests = int(total.group(1))
    return Result(
        requests=requests,
        failed=failed,
        rate=float(rate.group(1)),
        p50_ms=_latency(report, 50),
        p99_ms=_latency(report, 99),
        cpu_us=round(cpu / max(requests, 1) * 1e6, 1),
    )


async def wrk(
    url: str, *, connections: int, seconds: int, pids: list[int], script: Path | None = None
) -> Result:
    """Run a closed loop: each connection sends a request after each response.

    ``script`` is a Lua script of wrk that makes the requests; without it they are GETs.
    """
    before = cpu_seconds(pids)
    argv = ["wrk", "--latency", "-t1", f"-c{connections}", f"-d{seconds}", "--timeout", "20"]
    argv += [] if script is None else ["-s", str(script)]
    child = await asyncio.create_subprocess_exec(*argv, url, stdout=asyncio.subprocess.PIPE)
    out, _ = await child.communicate()
    return parse(out.decode(), cpu_seconds(pids) - before)


async def get(url: str) -> None:
    """Get a page. Raises CalledProcessError unless the status is 2xx."""
    await asyncio.to_thread(subprocess.run, [*_CURL, url], check=True)


def machine() -> dict[str, Any]:
    """Return the facts about this machine on which the figures depend."""
    version = subprocess.run(["haproxy", "-v"], capture_output=True, text=True, check=True).stdout
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "haproxy": version.split()[2],
        "load": os.getloadavg()[0],
    }

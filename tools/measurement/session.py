"""Makes one run: load, probe, check of the log. From the settings to a :class:`Run`."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import itertools
import json
import logging
import math
import os
import random
import resource
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from tools.measurement import checker, environment, guestlog, phases, plan, reads
from tools.measurement.analysis.outcome import Audit, Run
from tools.measurement.load import Load, Manner
from tools.measurement.probe import Prober
from tools.measurement.speed import Speedometer, waited
from tools.measurement.target import Target

LOG: Final = logging.getLogger(__name__)
SILENCE: Final = 1.0  # seconds without a response to the probe after which a surge starts
_LOG_TRIES: Final = 5
_LOG_TIMEOUT: Final = 30.0  # seconds


class SessionError(Exception):
    """The run could not be made; the text is one sentence for the user."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """All settings of one run."""

    url: str
    case: str = "run"
    protected: bool = False
    rate: float = 120.0
    duration: float = 60.0
    stop_file: Path | None = None
    law: str = "poisson"
    seed: int = 1
    pages: int = 100
    page: str = "/page/{n}"
    cover: bool = True
    access_log: Path | None = None
    mix: plan.Mix = dataclasses.field(default_factory=plan.Mix)
    manner: Manner = dataclasses.field(default_factory=Manner)
    sources: tuple[str | None, ...] = (None,)
    host_header: str | None = None
    insecure: bool = False
    probe: str | None = None
    probe_interval: float = 0.02
    log: str | None = None
    parse_log: guestlog.Parser = guestlog.tsv
    phases: tuple[Path, ...] = ()
    surge: int = 0  # additional writes, once, from the start of the guest's silence
    surge_rate: float = 1000.0  # additional writes per second
    applied: Path | None = None  # read after the load: request id → UNIX seconds

    def summary(self) -> dict[str, Any]:
        """The settings to keep with the figures, as primitives."""
        return {
            "url": self.url,
            "rate": self.rate,
            "law": self.law,
            "seed": self.seed,
            "pages": self.pages,
            "access_log": self.access_log.name if self.access_log else None,
            "mix": dataclasses.asdict(self.mix),
            "clients": self.manner.clients,
            "writers": self.manner.writers,
            "respond_async": self.manner.respond_async,
            "surge": self.surge,
            "surge_rate": self.surge_rate,
            "connections": "keepalive" if self.manner.keepalive else "new",
            "source_addresses": len(self.sources),
        }


def _asks(settings: Settings, rng: random.Random) -> Iterator[plan.Ask]:
    if settings.access_log:
        try:
            pages = reads.replayed(settings.access_log.read_text(errors="replace"), rng)
        except OSError as exc:
            raise SessionError(f"{settings.access_log}: {exc.strerror}") from exc
    else:
        paths = reads.template(settings.page, settings.pages)
        pages = reads.popular(paths, settings.mix.zipf, rng, cover=settings.cover)
    times = plan.arrivals(settings.rate, settings.law, rng)
    return plan.asks(times, pages, settings.mix, rng)


async def run(settings: Settings) -> Run:
    """Make one run; SIGINT and SIGTERM end it early and keep it. Raises SessionError."""
    # Two random generators: the seed alone determines the plan, whatever clients are chosen.
    asks = _asks(settings, random.Random(settings.seed))
    name = os.urandom(4).hex()
    target = Target.of(settings.url, host_header=settings.host_header, insecure=settings.insecure)
    load = Load(target, settings.manner, list(settings.sources), run=name, rng=random.Random(name))
    prober = Prober(Target.of(settings.probe), settings.probe_interval) if settings.probe else None
    if settings.surge and not prober:
        raise SessionError("a surge begins when the probe is silent: it needs --probe")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, load.stop)
    gc.collect()
    gc.freeze()  # a collection during the run would add latency
    began, zero = time.time(), loop.time()
    load.begin(zero)
    speed, waited_before = Speedometer(), waited()
    timing = loop.create_task(speed.run(zero))
    probing = loop.create_task(prober.run(zero)) if prober else None
    watching = loop.create_task(_stop_at(settings.stop_file, load)) if settings.stop_file else None
    surge = _surge(settings, load, prober, zero) if settings.surge and prober else None
    surging = loop.create_task(surge) if surge else None
    asked = await load.run(asks, settings.duration)
    pressure = _share(waited_before, waited(), loop.time() - zero)
    for task in (probing, watching, surging, timing):
        if task:
            task.cancel()
    audit = await asyncio.to_thread(_audit, settings, load) if settings.log else None
    load.learn(_applied(settings.applied, began))
    since, story = phases.from_files(list(settings.phases), began)
    return Run(
        case=settings.case,
        protected=settings.protected,
        began=began,
        duration=asked,
        rate=settings.rate,
        requests=sorted(load.requests, key=lambda request: request.scheduled),
        probes=prober.responses if prober else (),
        probe_interval=settings.probe_interval if prober else None,
        audit=audit,
        phases=since,
        story=story,
        environment=environment.collect() | {"cpu_pressure": pressure},
        settings=settings.summary(),
        speed=speed.samples,
    )


def _share(before: float | None, after: float | None, seconds: float) -> float | None:
    """The share of the run in which some process waited for a core."""
    return None if before is None or after is None else round((after - before) / seconds, 3)


async def _surge(settings: Settings, load: Load, prober: Prober, zero: float) -> None:
    """Send many writes when the guest has become silent."""
    await prober.silence(zero, SILENCE)
    rng = random.Random(settings.seed + 1)
    times = plan.arrivals(settings.surge_rate, settings.law, rng, load.now)
    mix = dataclasses.replace(settings.mix, writes=1.0)
    asks = plan.asks(times, itertools.repeat(""), mix, rng)
    await load.ask(itertools.islice(asks, settings.surge), math.inf)


def _applied(file: Path | None, began: float) -> dict[str, float]:
    """Request id → second of the run; empty if the file does not exist."""
    if file is None or not file.exists():
        return {}
    try:
        applied = json.loads(file.read_text())
        return {str(name): round(float(at) - began, 5) for name, at in applied.items()}
    except (AttributeError, TypeError, ValueError) as exc:
        raise SessionError(f"{file}: not request ids with UNIX seconds: {exc}") from exc


async def _stop_at(file: Path, load: Load) -> None:
    """Stop when the file exists. A signal would not reach the load from another PID namespace."""
    while not file.exists():  # noqa: ASYNC110, ASYNC240  another process creates it
        await asyncio.sleep(0.2)
    load.stop()


def _audit(settings: Settings, load: Load) -> Audit | None:
    try:
        log = list(settings.parse_log(fetch(settings.log or "")))
    except (guestlog.GuestLogError, SessionError) as exc:
        # Keep the run. Without the log, its claims about writes fail.
        LOG.error("writes are not checked: %s", exc)
        return None
    return checker.audit(load.writes, load.reads, log)


def fetch(where: str) -> str:
    """The guest's log from a URL or a file; raises SessionError."""
    if "://" not in where:
        try:
            return Path(where).read_text(errors="replace")
        except OSError as exc:
            raise SessionError(f"guest's log {where}: {exc.strerror}") from exc
    error: Exception | None = None
    for attempt in range(_LOG_TRIES):
        try:
            with urllib.request.urlopen(where, timeout=_LOG_TIMEOUT) as response:
                text: str = response.read().decode(errors="replace")
                return text
        except (OSError, ValueError) as exc:
            error = exc
            LOG.warning("guest's log, attempt %d: %s", attempt + 1, exc)
            time.sleep(1)
    raise SessionError(f"guest's log {where}: {error}")


def main(settings: Settings) -> Run:
    """Run on uvloop if it is installed; it needs half the CPU time of asyncio's loop."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # each waiting client has a connection
    try:
        import uvloop
    except ImportError:
        print("uvloop is not installed; asyncio's own loop is used", file=sys.stderr)
        return asyncio.run(run(settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        made: Run = runner.run(run(settings))
        return made

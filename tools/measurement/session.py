"""One run from the command line's settings to a :class:`Run`: load, probe, log, check."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import os
import random
import signal
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from nova_cachemig.report.outcome import Audit, Run
from tools.measurement import checker, environment, guestlog, phases, plan, reads
from tools.measurement.load import Load, Manner
from tools.measurement.probe import Prober
from tools.measurement.target import Target

LOG: Final = logging.getLogger(__name__)
_LOG_TRIES: Final = 5
_LOG_TIMEOUT: Final = 30.0  # seconds


class SessionError(Exception):
    """The run could not be made; the text is one sentence for the person who started it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Everything that one run is told."""

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

    def told(self) -> dict[str, Any]:
        """What is worth keeping with the figures: primitives."""
        return {
            "url": self.url,
            "rate": self.rate,
            "law": self.law,
            "seed": self.seed,
            "pages": self.pages,
            "access_log": self.access_log.name if self.access_log else None,
            "mix": dataclasses.asdict(self.mix),
            "clients": self.manner.clients,
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
    # Planned by one generator and clients chosen by another: the seed alone makes the plan.
    asks = _asks(settings, random.Random(settings.seed))
    name = os.urandom(4).hex()
    target = Target.of(settings.url, host_header=settings.host_header, insecure=settings.insecure)
    load = Load(target, settings.manner, list(settings.sources), run=name, rng=random.Random(name))
    prober = Prober(Target.of(settings.probe), settings.probe_interval) if settings.probe else None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, load.stop)
    gc.collect()
    gc.freeze()  # a collection in the midst of a run would be latency of our own making
    began, zero = time.time(), loop.time()
    load.begin(zero)
    probing = loop.create_task(prober.run(zero)) if prober else None
    watching = loop.create_task(_stop_at(settings.stop_file, load)) if settings.stop_file else None
    asked = await load.run(asks, settings.duration)
    for task in (probing, watching):
        if task:
            task.cancel()
    audit = await asyncio.to_thread(_audit, settings, load) if settings.log else None
    since, story = phases.from_files(list(settings.phases), began)
    return Run(
        case=settings.case,
        protected=settings.protected,
        began=began,
        duration=asked,
        rate=settings.rate,
        requests=sorted(load.requests, key=lambda request: request.scheduled),
        probes=prober.answered if prober else (),
        probe_interval=settings.probe_interval if prober else None,
        audit=audit,
        phases=since,
        story=story,
        environment=environment.collect(),
        settings=settings.told(),
    )


async def _stop_at(file: Path, load: Load) -> None:
    """A file, not a signal: whoever ends the load may be in another namespace."""
    while not file.exists():  # noqa: ASYNC110, ASYNC240  nobody can set an Event for us
        await asyncio.sleep(0.2)
    load.stop()


def _audit(settings: Settings, load: Load) -> Audit | None:
    try:
        log = list(settings.parse_log(fetch(settings.log or "")))
    except (guestlog.GuestLogError, SessionError) as exc:
        # The run is made and worth keeping; without the log its claims about writes fail.
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
            with urllib.request.urlopen(where, timeout=_LOG_TIMEOUT) as answer:
                text: str = answer.read().decode(errors="replace")
                return text
        except (OSError, ValueError) as exc:
            error = exc
            LOG.warning("guest's log, attempt %d: %s", attempt + 1, exc)
            time.sleep(1)
    raise SessionError(f"guest's log {where}: {error}")


def main(settings: Settings) -> Run:
    """Run on uvloop where it is installed (half the CPU of asyncio's own loop)."""
    try:
        import uvloop
    except ImportError:
        print("uvloop is not installed; asyncio's own loop is used", file=sys.stderr)
        return asyncio.run(run(settings))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        made: Run = runner.run(run(settings))
        return made

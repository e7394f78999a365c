"""What a source of samples is, and its twin that gives none."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Final

from oslo_config import cfg
from stevedore import driver, exception

from nova_cachemig.model.load import Sample

NAMESPACE: Final = "nova_cachemig.telemetry"


class SourceError(Exception):
    """The source cannot be read now, or its options make no sense; one sentence."""


class Take:
    """Where samples go. Called from any thread; never raises for what samples hold."""

    def samples(self, samples: Sequence[Sample], *, live: bool) -> None:
        """``live``: they were sent when they were measured, so lateness may be a wrong clock."""

    def malformed(self, what: str) -> None:
        """Something came that is no sample at all."""


class Source(abc.ABC):
    """One source. It is made, started, polled again and again, stopped."""

    @abc.abstractmethod
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read the options; raises SourceError if they make no sense. No I/O."""

    @abc.abstractmethod
    def start(self, take: Take) -> None:
        """Begin to give samples to ``take``; returns at once, whatever is down."""

    @abc.abstractmethod
    def poll(self, since: float, now: float) -> None:
        """Fetch what was measured in (``since``, ``now``], UNIX s; raises SourceError.

        ``since`` is the newest sample known when the source was first polled; a source remembers
        by itself how far it got after that. One that sends by itself does nothing here.
        """

    @abc.abstractmethod
    def stop(self) -> None:
        """Give no more; within a few seconds."""


class NoSource(Source):
    """Gives nothing: for a forecaster whose history is kept by other means, and for tests."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        pass

    def start(self, take: Take) -> None:
        pass

    def poll(self, since: float, now: float) -> None:
        pass

    def stop(self) -> None:
        pass


def load(conf: cfg.ConfigOpts) -> dict[str, Source]:
    """The sources that are configured, by name; raises SourceError that names the wrong one."""
    sources: dict[str, Source] = {}
    for name in conf.telemetry.sources:
        make: Callable[[cfg.ConfigOpts], Source]
        try:
            make = driver.DriverManager(NAMESPACE, name).driver
        except exception.NoMatches as exc:
            raise SourceError(f"[telemetry] sources: no source is named {name!r}") from exc
        sources[name] = make(conf)
    return sources

"""The interface of a source of samples, and the source that delivers none."""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Final

from oslo_config import cfg
from stevedore import driver, exception

from nova_cachemig.model.load import Sample

NAMESPACE: Final = "nova_cachemig.telemetry"


class SourceError(Exception):
    """The source cannot be read now, or its options are invalid; the text is one sentence."""


class UnreachableError(SourceError):
    """The server did not respond."""


class AccessError(SourceError):
    """The credentials are refused, or cannot be read: no query can succeed now."""


class SampleSink:
    """Receives samples. Any thread may call it; it raises nothing, whatever the samples hold."""

    def add(self, samples: Sequence[Sample], *, live: bool) -> None:
        """Receive samples.

        ``live``: each was sent at the time it was measured, so a late one may mean a wrong clock.
        """

    def malformed(self, what: str) -> None:
        """Report input that is not a sample at all; ``what`` describes it."""


class Source(abc.ABC):
    """One source. The forecaster creates it, starts it, polls it repeatedly and stops it."""

    @abc.abstractmethod
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """Read the options; raises SourceError if they are invalid. Does no I/O."""

    @abc.abstractmethod
    def start(self, sink: SampleSink) -> None:
        """Start to deliver samples to ``sink``. Returns immediately, even if the server is down."""

    @abc.abstractmethod
    def poll(self, since: float, now: float) -> None:
        """Fetch the samples measured in (``since``, ``now``], UNIX s; raises SourceError.

        ``since`` is the time of the newest sample known. A source keeps its own position after
        the first poll. A source that receives samples unasked does nothing here.
        """

    def problems(self) -> list[str]:
        """The reasons why samples are missing now, one sentence each, for operators."""
        return []

    @abc.abstractmethod
    def stop(self) -> None:
        """Stop delivering samples, within a few seconds."""


class NoSource(Source):
    """Delivers nothing: for tests, and where the history is filled by other means."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        pass

    def start(self, sink: SampleSink) -> None:
        pass

    def poll(self, since: float, now: float) -> None:
        pass

    def stop(self) -> None:
        pass


def load(conf: cfg.ConfigOpts) -> dict[str, Source]:
    """Return the configured sources by name; SourceError names one that does not exist."""
    sources: dict[str, Source] = {}
    for name in conf.telemetry.sources:
        make: Callable[[cfg.ConfigOpts], Source]
        try:
            make = driver.DriverManager(NAMESPACE, name).driver
        except exception.NoMatches as exc:
            raise SourceError(f"[telemetry] sources: no source is named {name!r}") from exc
        sources[name] = make(conf)
    return sources

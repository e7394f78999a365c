"""Readers of access logs. The first line determines the format, the name the compression."""

from __future__ import annotations

import datetime
import gzip
import math
import pathlib
import re
from collections.abc import Iterable, Iterator

from nova_cachemig.model.access import AccessRecord

SERVICE = "log"
_COMBINED = re.compile(
    r'(?P<client>\S+) \S+ .*?\[(?P<at>[^\]]+)\] "(?P<method>[A-Z]+) (?P<url>\S+)[^"]*" '
    r"(?P<status>\d{3}) "
)
_MONTHS = dict(
    zip(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
        range(1, 13),
        strict=True,
    )
)


class LogError(Exception):
    """The file is not a readable access log; the text has the reason."""


def read(path: pathlib.Path) -> list[AccessRecord]:
    """Return the requests of a log by time, without malformed lines.

    Raises LogError when the file cannot be opened, or more than one line in ten is malformed.
    """
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", errors="replace") as lines:
            first = lines.readline()
            tabbed = first.count("\t") >= 5
            source: Iterable[str] = lines if tabbed and "method" in first else _chain(first, lines)
            parse = _tabbed if tabbed else _combined
            parsed = [parse(line) for line in source if line.strip()]
    except (OSError, EOFError) as exc:
        raise LogError(f"{path}: {exc}") from exc
    records = [record for record in parsed if record is not None]
    if not records or len(records) < 0.9 * len(parsed):
        raise LogError(
            f"{path}: {len(parsed) - len(records)} of {len(parsed)} lines are neither combined log "
            "nor tab-separated client, logname, epoch, method, url, status"
        )
    records.sort(key=lambda record: record.at)
    return records


def _chain(first: str, rest: Iterable[str]) -> Iterator[str]:
    yield first
    yield from rest


def _record(client: str, at: float, method: str, url: str, status: str) -> AccessRecord | None:
    if not status.isdigit() or not math.isfinite(at):
        return None
    return AccessRecord(SERVICE, client, method, "log", url, int(status), at, 0.0)


def _tabbed(line: str) -> AccessRecord | None:
    """Parse a line of NASA-KSC, tab-separated: host, logname, time, method, URL, status."""
    fields = line.rstrip("\n").split("\t")
    if len(fields) < 6:
        return None
    try:
        at = float(fields[2])
    except ValueError:
        return None
    return _record(fields[0], at, fields[3], fields[4], fields[5])


def _combined(line: str) -> AccessRecord | None:
    """Parse a line of the common or combined log format."""
    match = _COMBINED.match(line)
    if match is None:
        return None
    try:
        at = _apache_time(match["at"])
    except (ValueError, KeyError):
        return None
    return _record(match["client"], at, match["method"], match["url"], match["status"])


def _apache_time(text: str) -> float:
    """Parse 17/May/2015:10:05:03 +0000 independently of the locale."""
    day, month, rest = text.split("/", 2)
    stamp, offset = rest.split(" ")
    numeric = f"{day}/{_MONTHS[month]}/{stamp}{offset}"
    return datetime.datetime.strptime(numeric, "%d/%m/%Y:%H:%M:%S%z").timestamp()

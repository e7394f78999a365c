"""Reads traces into panels. A panel is a set of machines measured over the same time.

A path is one of:

* a folder, or a tar or tar.gz, of text files with one or more columns: one file per machine, one
  row per sample. Each folder within is a panel (PlanetLab: a day);
* a Parquet file with the columns id, timestamp, cpu_usage (Bitbrains). A file with ``_meta`` before
  the suffix may give id and cpu_capacity; the load is then in per cent of the capacity.
"""

from __future__ import annotations

import collections
import dataclasses
import math
import pathlib
import re
import tarfile
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from nova_cachemig.model.load import clamped

Floats = NDArray[np.float64]

SEPARATORS = re.compile(r"[,;\s]+")
SUFFIXES = re.compile(r"(\.tar)?(\.(gz|bz2|xz|tgz|parquet|tar))?$")

HELD_SAMPLES = 6
"""Maximum number of samples that one Bitbrains row covers (its ``duration``)."""


class TraceError(Exception):
    """The path has no readable trace: the caller's fault."""


@dataclasses.dataclass(frozen=True, eq=False)
class Panel:
    """Machines measured over the same time: ``values`` is float64[machines, samples], NaN a gap."""

    name: str
    machines: tuple[str, ...]
    values: Floats


@dataclasses.dataclass(frozen=True)
class Options:
    interval: float = 300.0
    """Seconds between the rows of a text file; the grid on which a Parquet file is laid."""
    column: int | None = None
    """Column of a text file, counted from 1; None is the last."""
    match: str = ""
    """Regular expression that selects files by name."""


def read(path: pathlib.Path, options: Options) -> list[Panel]:
    """Return all panels of a trace; TraceError if there is none."""
    if path.is_dir():
        panels = _text_panels(_folder(path), options)
    elif path.suffix == ".parquet":
        panels = [_parquet(path, options.interval)]
    elif path.is_file() and tarfile.is_tarfile(path):
        panels = _text_panels(_tar(path), options)
    else:
        raise TraceError(f"{path}: neither a folder, a tar nor a parquet file")
    if not panels:
        raise TraceError(f"{path}: no samples in it")
    return panels


def trace_name(path: pathlib.Path) -> str:
    """Return the name of a trace in the results: the path's last part without suffixes."""
    return SUFFIXES.sub("", path.resolve().name)


def _folder(path: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        if file.is_file() and not file.name.startswith("."):
            yield file.relative_to(path).as_posix(), file.read_bytes()


def _tar(path: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(path) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.isfile() else None
            if content is not None and not pathlib.PurePosixPath(member.name).name.startswith("."):
                yield member.name, content.read()


def _text_panels(files: Iterator[tuple[str, bytes]], options: Options) -> list[Panel]:
    panels: dict[str, dict[str, Floats]] = collections.defaultdict(dict)
    for name, content in files:
        if not re.search(options.match, name):
            continue
        values = parse(content.decode("utf-8", "replace"), options.column)
        if np.isfinite(values).any():
            folder, _, machine = name.rpartition("/")
            panels[folder][machine] = values
    return [_panel(folder, rows) for folder, rows in sorted(panels.items())]


def _panel(name: str, rows: dict[str, Floats]) -> Panel:
    """A panel of rows of any length, aligned at their first samples."""
    values = np.full((len(rows), max(map(len, rows.values()))), np.nan)
    for i, row in enumerate(rows.values()):
        values[i, : len(row)] = row
    return Panel(name, tuple(rows), values)


def parse(text: str, column: int | None) -> Floats:
    """Return a column of a text of numbers, one row per sample. A value that is no load is a gap.

    Commas, semicolons or blanks separate columns. A first line without a number is a heading.
    """
    index = -1 if column is None else column - 1
    values = [_number(line, index) for line in text.splitlines() if line.strip()]
    first = next((i for i, x in enumerate(values) if not math.isnan(x)), len(values))
    if values and first <= 1:
        values = values[first:]
    return np.array(values, dtype=np.float64)


def _number(line: str, index: int) -> float:
    fields = SEPARATORS.split(line.strip())
    try:
        value = float(fields[index])
    except (IndexError, ValueError):
        return math.nan
    value = clamped(value)
    return value if math.isfinite(value) and value >= 0 else math.nan


def _parquet(path: pathlib.Path, interval: float) -> Panel:
    try:
        import pyarrow.parquet  # only this reader needs it
    except ImportError as e:
        raise TraceError(f"{path}: reading Parquet needs pyarrow") from e
    table = pyarrow.parquet.read_table(path)
    beside = path.with_name(f"{path.stem}_meta.parquet")
    capacity: dict[str, float] = {}
    if beside.is_file():
        meta = pyarrow.parquet.read_table(beside, columns=["id", "cpu_capacity"])
        capacity = dict(zip(*(meta[c].to_pylist() for c in ("id", "cpu_capacity")), strict=True))
    names = np.array([str(x) for x in table["id"].to_pylist()])
    at = np.array([t.timestamp() for t in table["timestamp"].to_pylist()])
    load = table["cpu_usage"].to_numpy().astype(np.float64)
    covers = np.full(len(at), interval)
    if "duration" in table.column_names:
        covers = table["duration"].to_numpy() / 1000.0
    bins = ((at - at.min()) // interval).astype(np.int64)
    machines = tuple(sorted(set(names.tolist())))
    values = np.full((len(machines), int(bins.max()) + 1), np.nan)
    for i, machine in enumerate(machines):
        mine = names == machine
        percent = 100.0 / capacity[machine] if capacity.get(machine, 0.0) > 0 else 1.0
        lay(values[i], bins[mine], load[mine] * percent, covers[mine] / interval)
    return Panel(path.stem, machines, values)


def lay(row: Floats, bins: NDArray[np.int64], loads: Floats, covers: Floats) -> None:
    """Put samples on a row. Each also fills the empty places before it that it covers."""
    held = np.clip(np.round(covers), 1, HELD_SAMPLES).astype(np.int64)
    for back in range(HELD_SAMPLES - 1, 0, -1):
        where = (held > back) & (bins >= back)
        row[bins[where] - back] = loads[where]
    row[bins] = loads

"""The history of loads: one ring buffer of cells per metric, of fixed size, kept across restarts.

A cell covers ``resolution`` seconds of one host or instance and holds the mean of its samples: a
float32 and a one-byte count, 5 bytes together.
"""

from __future__ import annotations

import collections
import enum
import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from oslo_log import log

from nova_cachemig.model.load import LoadMatrix

LOG = log.getLogger(__name__)

FORMAT: Final = 1
REMEMBERED: Final = 32
"""Number of timestamps kept per row to recognise repeated samples."""
PLACES: Final = "places"
"""Name of the optional array in the file that maps each instance to its host."""
_GROWTH: Final = 64
_BLOCK: Final = 64
"""Rows of which :meth:`Ring.matrix` has intermediate results in memory at the same time."""


class AddResult(enum.StrEnum):
    """The result of adding a sample."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    LATE = "late"  # older than the history
    FULL = "full"  # too many hosts or instances


class Ring:
    """Cells of many rows (hosts or instances) of one metric. Not thread-safe: the owner locks."""

    def __init__(self, *, resolution: float, width: int, max_rows: int) -> None:
        self.resolution = resolution
        self.width = width
        self.max_rows = max_rows
        self.newest = -1  # number of the newest cell; its column is the number modulo width
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._values: NDArray[np.float32] = np.zeros((0, width), np.float32)
        self._counts: NDArray[np.uint8] = np.zeros((0, width), np.uint8)
        self._last: NDArray[np.float64] = np.zeros(0)
        self._seen: dict[int, collections.deque[int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, at: float, value: float, stamp: float) -> AddResult:
        """Add a sample measured at ``at``; ``stamp``, the source's own time, identifies repeats."""
        cell = int(at // self.resolution)
        if cell <= self.newest - self.width:
            return AddResult.LATE
        row = self._row(name, cell)
        if row is None:
            return AddResult.FULL
        seen = self._seen[row]
        if int(stamp) in seen:
            return AddResult.DUPLICATE
        seen.append(int(stamp))
        self.advance(cell)
        column = cell % self.width
        count = int(self._counts[row, column])
        if count < 255:
            old = float(self._values[row, column])
            self._values[row, column] = old + (value - old) / (count + 1)
            self._counts[row, column] = count + 1
        self._last[row] = max(self._last[row], at)
        return AddResult.TAKEN

    def advance(self, cell: int) -> None:
        """Make ``cell`` the newest if it is newer; clear the cells that leave the ring."""
        if cell <= self.newest:
            return
        gone = np.arange(max(self.newest + 1, cell - self.width + 1), cell + 1) % self.width
        self._counts[:, gone] = 0
        self._values[:, gone] = 0.0
        self.newest = cell

    def last(self) -> dict[str, float]:
        """Return the time of each row's newest sample, UNIX s."""
        return {name: float(self._last[row]) for name, row in self._rows.items()}

    def newest_at(self) -> float:
        """Return the time of the newest sample of all rows, UNIX s; 0 if there is none."""
        return float(self._last.max()) if len(self._last) else 0.0

    def matrix(self, now: float, step: float, names: list[str] | None = None) -> LoadMatrix:
        """Return the history up to ``now`` in columns of about ``step`` s; the last ends now."""
        end = int(now // self.resolution)
        self.advance(end)
        group = max(1, round(step / self.resolution))
        step = group * self.resolution
        names = list(self._rows) if names is None else [n for n in names if n in self._rows]
        many = self.width // group
        cells = np.arange(end - many * group + 1, end + 1) % self.width
        rows = np.array([self._rows[name] for name in names], np.int64)
        means = np.full((len(rows), many), np.nan)
        for first in range(0, len(rows), _BLOCK):
            some = rows[first : first + _BLOCK, None]
            filled = (self._counts[some, cells] > 0).reshape(len(some), many, group)
            values = self._values[some, cells].reshape(filled.shape)
            sums = np.where(filled, values, 0.0).sum(axis=2, dtype=np.float64)
            number = filled.sum(axis=2)
            np.divide(sums, number, out=means[first : first + _BLOCK], where=number > 0)
        known = ~np.isnan(means).all(axis=0)
        begin = int(known.argmax()) if known.any() else max(many - 1, 0)
        means = means[:, begin:]
        start = now - max(means.shape[1] - 1, 0) * step
        return LoadMatrix(tuple(names), start, step, means)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """Return copies of the rows in use, to be saved."""
        rows = np.array(list(self._rows.values()), np.int64)
        head = {
            "names": list(self._rows),
            "newest": self.newest,
            "width": self.width,
            "resolution": self.resolution,
        }
        return {
            f"{prefix}/head": np.frombuffer(json.dumps(head).encode(), np.uint8),
            f"{prefix}/values": self._values[rows],
            f"{prefix}/counts": self._counts[rows],
            f"{prefix}/last": self._last[rows],
        }

    def take_arrays(self, prefix: str, arrays: Any) -> None:
        """Load saved rows into an empty ring of any width; raises ValueError or KeyError."""
        head = json.loads(arrays[f"{prefix}/head"].tobytes())
        if head["resolution"] != self.resolution:
            raise ValueError(f"cells of {head['resolution']} s, now {self.resolution} s")
        names, width, newest = head["names"], int(head["width"]), int(head["newest"])
        values, counts = arrays[f"{prefix}/values"], arrays[f"{prefix}/counts"]
        last = arrays[f"{prefix}/last"]
        if values.shape != (len(names), width) or counts.shape != values.shape:
            raise ValueError(f"{len(names)} rows, values of shape {values.shape}")
        if not np.isfinite(values).all() or not np.isfinite(last).all():
            raise ValueError("values that are not finite")
        keep = range(len(names))[: self.max_rows]
        self._grow(len(keep))
        self.newest = newest
        cells = np.arange(newest - min(width, self.width) + 1, newest + 1)
        for row in keep:
            self._claim(str(names[row]), row)
            self._values[row, cells % self.width] = values[row, cells % width]
            self._counts[row, cells % self.width] = counts[row, cells % width]
            self._last[row] = last[row]
            self._seen[row].append(int(last[row]))
        self._free = [row for row in self._free if row >= len(keep)]

    def _row(self, name: str, cell: int) -> int | None:
        row = self._rows.get(name)
        if row is not None:
            return row
        if len(self._rows) >= self.max_rows:
            self._expire(cell)
        if len(self._rows) >= self.max_rows:
            return None
        if not self._free:
            more = max(len(self._values) // 8, _GROWTH)
            self._grow(min(len(self._values) + more, self.max_rows))
        row = self._free.pop()
        self._values[row], self._counts[row], self._last[row] = 0.0, 0, 0.0
        self._claim(name, row)
        return row

    def _claim(self, name: str, row: int) -> None:
        self._rows[name] = row
        self._seen[row] = collections.deque(maxlen=REMEMBERED)

    def _grow(self, rows: int) -> None:
        more = rows - len(self._values)
        if more <= 0:
            return
        self._free.extend(range(rows - 1, len(self._values) - 1, -1))
        # In place: a copy of all cells would double the memory meanwhile. The new rows are zero.
        self._values.resize((rows, self.width), refcheck=False)
        self._counts.resize((rows, self.width), refcheck=False)
        self._last.resize(rows, refcheck=False)

    def _expire(self, cell: int) -> None:
        """Remove the rows without a cell left in the ring."""
        oldest = (max(cell, self.newest) - self.width + 1) * self.resolution
        for name in [n for n, row in self._rows.items() if self._last[row] < oldest]:
            row = self._rows.pop(name)
            del self._seen[row]
            self._free.append(row)


def ring_names(path: Path) -> list[str]:
    """Return the names of the rings in the file; an empty list if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return sorted(key[: -len("/head")] for key in arrays.files if key.endswith("/head"))
    except Exception as exc:  # zipfile, zlib, numpy: a damaged file can raise anything
        LOG.debug("no history in %s: %r", path, exc)  # read() reports why
        return []


def read_instance_hosts(path: Path) -> dict[str, str]:
    """Return the host of each instance when the file was written; empty if it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = json.loads(arrays[PLACES].tobytes())
        return {str(instance): str(host) for instance, host in found.items()}
    except Exception as exc:  # as above; files of older releases lack it
        LOG.debug("no hosts of instances in %s: %r", path, exc)
        return {}


def instance_hosts_array(where: dict[str, str]) -> dict[str, NDArray[Any]]:
    """Return the host of each instance as an array for :func:`save`."""
    return {PLACES: np.frombuffer(json.dumps(where).encode(), np.uint8)}


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write the arrays of :meth:`Ring.to_arrays` atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        # Not savez_compressed: it takes seconds, and saves half the space only.
        np.savez(file, allow_pickle=False, format=np.array(FORMAT), **arrays)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path: Path, rings: dict[str, Ring]) -> list[str]:
    """Fill empty rings from the file and return a sentence for each problem. Raises nothing.

    A damaged file is renamed to ``….broken``, so that an operator can examine it.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise ValueError(f"format {int(arrays['format'])}, this release reads {FORMAT}")
            return [p for name, ring in rings.items() for p in _fill(ring, name, arrays)]
    except FileNotFoundError:
        return []
    except Exception as exc:  # zipfile, zlib, numpy: a damaged file can raise anything
        try:
            path.replace(path.with_name(path.name + ".broken"))
        except OSError as error:
            return [f"{path} is damaged ({exc!r}) and cannot be renamed: {error}"]
        return [f"{path} is damaged and was renamed to {path.name}.broken: {exc!r}"]


def _fill(ring: Ring, name: str, arrays: Any) -> list[str]:
    try:
        ring.take_arrays(name, arrays)
    except (ValueError, KeyError, TypeError) as exc:
        return [f"the history of {name} was not loaded: {exc}"]
    return []

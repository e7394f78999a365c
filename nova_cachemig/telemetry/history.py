"""The history of loads: one ring of cells a metric, bounded, kept across restarts.

A cell is ``resolution`` seconds of one host or instance and holds the mean of its samples.
float32 and a count of one byte: 5 bytes a cell.
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
"""Instants of each row by which a repeated sample is known."""
PLACES: Final = "places"
"""Name of the array in the file that tells where each instance is; it is optional."""
_GROWTH: Final = 64


class Added(enum.StrEnum):
    """What became of a sample."""

    TAKEN = "taken"
    DUPLICATE = "duplicate"
    LATE = "late"  # older than the history
    FULL = "full"  # more hosts or instances than are kept


class Ring:
    """Cells of many rows (hosts or instances) of one metric. Not locked: its owner does that."""

    def __init__(self, *, resolution: float, width: int, max_rows: int) -> None:
        self.resolution = resolution
        self.width = width
        self.max_rows = max_rows
        self.newest = -1  # number of the newest cell; a cell's column is its number modulo width
        self._rows: dict[str, int] = {}
        self._free: list[int] = []
        self._values: NDArray[np.float32] = np.zeros((0, width), np.float32)
        self._counts: NDArray[np.uint8] = np.zeros((0, width), np.uint8)
        self._last: NDArray[np.float64] = np.zeros(0)
        self._seen: dict[int, collections.deque[int]] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, name: str, at: float, value: float, stamp: float) -> Added:
        """One sample measured at ``at``; its source called that ``stamp``, which knows repeats."""
        cell = int(at // self.resolution)
        if cell <= self.newest - self.width:
            return Added.LATE
        row = self._row(name, cell)
        if row is None:
            return Added.FULL
        seen = self._seen[row]
        if int(stamp) in seen:
            return Added.DUPLICATE
        seen.append(int(stamp))
        self.advance(cell)
        column = cell % self.width
        count = int(self._counts[row, column])
        if count < 255:
            old = float(self._values[row, column])
            self._values[row, column] = old + (value - old) / (count + 1)
            self._counts[row, column] = count + 1
        self._last[row] = max(self._last[row], at)
        return Added.TAKEN

    def advance(self, cell: int) -> None:
        """Make ``cell`` the newest, if it is newer; what falls out of the ring is forgotten."""
        if cell <= self.newest:
            return
        gone = np.arange(max(self.newest + 1, cell - self.width + 1), cell + 1) % self.width
        self._counts[:, gone] = 0
        self._values[:, gone] = 0.0
        self.newest = cell

    def last(self) -> dict[str, float]:
        """When each row was last measured, UNIX s."""
        return {name: float(self._last[row]) for name, row in self._rows.items()}

    def newest_at(self) -> float:
        """When any was last measured; 0 where there is nothing."""
        return float(self._last.max()) if len(self._last) else 0.0

    def matrix(self, now: float, step: float, names: list[str] | None = None) -> LoadMatrix:
        """All of it up to ``now``, in columns of about ``step`` s of which the last ends now."""
        end = int(now // self.resolution)
        self.advance(end)
        group = max(1, round(step / self.resolution))
        step = group * self.resolution
        names = list(self._rows) if names is None else [n for n in names if n in self._rows]
        many = self.width // group
        cells = np.arange(end - many * group + 1, end + 1) % self.width
        rows = np.array([self._rows[name] for name in names], np.int64)
        counts = self._counts[rows[:, None], cells[None, :]].reshape(len(rows), many, group)
        values = self._values[rows[:, None], cells[None, :]].reshape(counts.shape)
        filled = counts > 0
        number = filled.sum(axis=2)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(filled, values, 0.0).sum(axis=2, dtype=np.float64) / number
        begin = int((number > 0).any(axis=0).argmax()) if number.any() else max(many - 1, 0)
        means = means[:, begin:]
        start = now - max(means.shape[1] - 1, 0) * step
        return LoadMatrix(tuple(names), start, step, means)

    def to_arrays(self, prefix: str) -> dict[str, NDArray[Any]]:
        """For the disk: copies of the rows in use."""
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
        """The inverse, into an empty ring of any width; raises ValueError or KeyError."""
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
            self._grow(min(max(len(self._values) * 2, _GROWTH), self.max_rows))
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
        self._values = np.concatenate([self._values, np.zeros((more, self.width), np.float32)])
        self._counts = np.concatenate([self._counts, np.zeros((more, self.width), np.uint8)])
        self._last = np.concatenate([self._last, np.zeros(more)])

    def _expire(self, cell: int) -> None:
        """Forget the rows of which nothing is left in the ring."""
        oldest = (max(cell, self.newest) - self.width + 1) * self.resolution
        for name in [n for n, row in self._rows.items() if self._last[row] < oldest]:
            row = self._rows.pop(name)
            del self._seen[row]
            self._free.append(row)


def names(path: Path) -> list[str]:
    """The rings that are in the file; none where it cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return sorted(key[: -len("/head")] for key in arrays.files if key.endswith("/head"))
    except Exception as exc:  # zipfile, zlib, numpy: a damaged file raises almost anything
        LOG.debug("no history in %s: %r", path, exc)  # read() tells why
        return []


def places(path: Path) -> dict[str, str]:
    """Where each instance was when the file was written; nothing where that cannot be read."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            found = json.loads(arrays[PLACES].tobytes())
        return {str(instance): str(host) for instance, host in found.items()}
    except Exception as exc:  # as above; and a file of an older release has none
        LOG.debug("no places of instances in %s: %r", path, exc)
        return {}


def placed(where: dict[str, str]) -> dict[str, NDArray[Any]]:
    """The inverse: an array for :func:`save`."""
    return {PLACES: np.frombuffer(json.dumps(where).encode(), np.uint8)}


def save(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Write arrays of :meth:`Ring.to_arrays`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        # Not savez_compressed: it takes seconds for what is halved.
        np.savez(file, allow_pickle=False, format=np.array(FORMAT), **arrays)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def read(path: Path, rings: dict[str, Ring]) -> list[str]:
    """Fill empty rings from the file; what went wrong, one sentence each. Never raises.

    A damaged file is put aside as ``….broken``, so that a person can look at it.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if int(arrays["format"]) != FORMAT:
                raise ValueError(f"format {int(arrays['format'])}, this release reads {FORMAT}")
            return [p for name, ring in rings.items() for p in _fill(ring, name, arrays)]
    except FileNotFoundError:
        return []
    except Exception as exc:  # zipfile, zlib, numpy: a damaged file raises almost anything
        try:
            path.replace(path.with_name(path.name + ".broken"))
        except OSError as error:
            return [f"{path} is damaged ({exc!r}) and cannot be put aside: {error}"]
        return [f"{path} is damaged and was put aside: {exc!r}"]


def _fill(ring: Ring, name: str, arrays: Any) -> list[str]:
    try:
        ring.take_arrays(name, arrays)
    except (ValueError, KeyError, TypeError) as exc:
        return [f"the history of {name} was not taken over: {exc}"]
    return []

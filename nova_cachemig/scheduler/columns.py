"""A snapshot as arrays, for fast look-ups in a request.

The listener thread builds the arrays once per snapshot. A request for 1,000 hosts is then a look-up
of rows and arithmetic on whole arrays.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from nova_cachemig.forecast.history import Floats, Ints
from nova_cachemig.forecast.overload import Quantiles
from nova_cachemig.model.snapshot import Snapshot


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """The data of a snapshot that placement needs. The last row stands for unknown hosts."""

    run: str
    sequence: int
    metric: str
    hosts: Mapping[str, int]
    """The row of each host."""
    mean: Floats
    """float[H + 1]: mean load over the horizon; NaN in the last row."""
    peak: Quantiles
    instances: Mapping[str, float]
    """Load of each instance, in per cent of one CPU."""

    @classmethod
    def of(cls, snapshot: Snapshot) -> Columns:
        loads = list(snapshot.hosts.values())
        return cls(
            snapshot.run,
            snapshot.sequence,
            snapshot.metric,
            {name: row for row, name in enumerate(snapshot.hosts)},
            np.array([*(load.mean for load in loads), np.nan]),
            Quantiles.of(snapshot.levels, [load.peak for load in loads]),
            snapshot.instances,
        )

    def rows(self, names: Sequence[str]) -> Ints:
        """Return the rows of these hosts, int[N]; the last row for an unknown host."""
        found = map(self.hosts.get, names, itertools.repeat(len(self.hosts)))
        return np.fromiter(found, np.int64, len(names))

"""The positions of times and latencies on a chart, and the ticks of its axes."""

from __future__ import annotations

import dataclasses
import math
from typing import Final

FASTEST: Final = 0.0005  # seconds; faster requests are drawn here


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """The plot of one chart: the pixels of its edges and their values.

    ``start`` and ``end`` are seconds relative to ``origin``, the pause; ``slowest`` is the latency
    (s) of the upper edge; latency is on a logarithmic scale from ``FASTEST``.
    """

    left: float
    right: float
    top: float
    bottom: float
    start: float
    end: float
    slowest: float
    origin: float = 0.0

    def x(self, at: float) -> float:
        """Pixel of an instant of the run, kept within the plot."""
        share = (at - self.origin - self.start) / (self.end - self.start)
        return self.left + min(max(share, 0.0), 1.0) * (self.right - self.left)

    def shows(self, at: float) -> bool:
        """Whether the instant lies within the plot."""
        return self.start <= at - self.origin <= self.end

    def y(self, latency: float) -> float:
        """Pixel of a latency."""
        share = math.log(max(latency, FASTEST) / FASTEST) / math.log(self.slowest / FASTEST)
        return self.bottom - min(share, 1.0) * (self.bottom - self.top)


def seconds_ticks(start: float, end: float, about: int) -> list[float]:
    """Round instants between two, nearly ``about`` of them."""
    rough = (end - start) / max(about, 1)
    size = 10 ** math.floor(math.log10(rough))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= rough)
    first = math.ceil(start / step - 1e-9)
    last = math.floor(end / step + 1e-9)
    return [round(n * step, 6) for n in range(first, last + 1)]


def latency_ticks(slowest: float) -> list[tuple[float, str]]:
    """Powers of ten with their names."""
    names = ((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "100 ms"), (1.0, "1 s"), (10.0, "10 s"))
    return [(value, name) for value, name in names if value <= slowest]


def clock(seconds: float) -> str:
    """A tick of the time axis, relative to the pause."""
    text = f"{seconds:g}"
    return f"+{text}" if seconds > 0 else text.replace("-", "\N{MINUS SIGN}")

"""Quantiles by the nearest rank."""

from __future__ import annotations

import math
from collections.abc import Iterable


def quantile(values: Iterable[float], share: float) -> float | None:
    """The smallest value that ``share`` of all do not exceed; None if there are no values."""
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)), 1) - 1] if ranked else None

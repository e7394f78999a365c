"""Validation of arguments that come over the wire. Every function raises ValueError."""

from __future__ import annotations

import contextlib
import math
from typing import Any

NAME_LIMIT = 255


def name(value: Any, field: str) -> str:
    """A string of 1 to 255 characters."""
    if not isinstance(value, str) or not value or len(value) > NAME_LIMIT:
        raise ValueError(f"{field} is not a name: {value!r:.100}")
    return value


def optional_name(value: Any, field: str) -> str | None:
    """A name or None."""
    return None if value is None else name(value, field)


def number(value: Any, field: str) -> float:
    """A finite number; a bool is none."""
    if not isinstance(value, bool) and isinstance(value, int | float):
        with contextlib.suppress(OverflowError):
            if math.isfinite(converted := float(value)):
                return converted
    raise ValueError(f"{field} is not a number: {value!r:.100}")


def between(value: Any, field: str, low: float, high: float) -> float:
    """A number, moved into ``low`` … ``high``."""
    return max(low, min(number(value, field), high))


def text(value: Any, field: str, limit: int) -> str:
    """A string, maybe empty, of at most ``limit`` characters."""
    if not isinstance(value, str) or len(value) > limit:
        raise ValueError(f"{field} is not a text of at most {limit} characters: {value!r:.100}")
    return value

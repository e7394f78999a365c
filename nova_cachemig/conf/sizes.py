"""The type of options that are a number of bytes."""

from __future__ import annotations

import re
from typing import Any, Final

from oslo_config import types

_SIZE: Final = re.compile(r"([0-9]+)\s*([kmg]?)", re.IGNORECASE)
_FACTORS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}


class Size(types.ConfigType):
    """Bytes, or a number with k, m or g: KiB, MiB, GiB. The value is an int, in bytes."""

    def __init__(self, *, minimum: int = 0, maximum: int | None = None) -> None:
        """``minimum`` and ``maximum`` in bytes, inclusive."""
        super().__init__(type_name="size value")
        self.minimum = minimum
        self.maximum = maximum

    def __call__(self, value: Any) -> int:
        """Return the bytes; raises ValueError."""
        match = _SIZE.fullmatch(str(value).strip())
        if match is None:
            raise ValueError(f"{value!r} is not a size: write bytes, or a number with k, m or g")
        size = int(match[1]) * _FACTORS[match[2].lower()]
        if size < self.minimum:
            raise ValueError(f"{value!r} is less than {self.minimum} bytes")
        if self.maximum is not None and size > self.maximum:
            raise ValueError(f"{value!r} is more than {self.maximum} bytes")
        return size

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self._bounds() == other._bounds()

    def __hash__(self) -> int:
        return hash(self._bounds())

    def _bounds(self) -> tuple[int, int | None]:
        return self.minimum, self.maximum

    def __repr__(self) -> str:
        return f"Size(minimum={self.minimum}, maximum={self.maximum})"

    def _formatter(self, value: Any) -> str:
        return str(value)

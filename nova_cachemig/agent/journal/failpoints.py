"""Points at which a test can kill the process or make a step fail. None is armed by default."""

from __future__ import annotations

import dataclasses
import os
import signal
from collections.abc import Iterable
from typing import Final

POINTS: Final = frozenset(
    {"received", "appended", "synced", "acknowledged", "sent", "responded", "marked", "sealed"}
)


class FailpointHit(OSError):
    """Raised at a point that a test has armed to fail."""


@dataclasses.dataclass(slots=True)
class _Armed:
    action: str  # kill or fail
    after: int  # number of the hit at which it acts, counting down


class Failpoints:
    """Armed by ``name=kill`` or ``name=fail``; ``@n`` means the n-th hit: ``sent=kill@7``."""

    def __init__(self, armed: Iterable[str] = ()) -> None:
        """Raises ValueError for a malformed text."""
        self._armed: dict[str, _Armed] = {}
        for text in armed:
            name, _, rest = text.partition("=")
            action, _, nth = rest.partition("@")
            if name not in POINTS or action not in {"kill", "fail"} or not (nth or "1").isdigit():
                raise ValueError(f"not a failpoint: {text!r}; points are {sorted(POINTS)}")
            self._armed[name] = _Armed(action, int(nth or "1"))

    def armed(self, name: str) -> bool:
        """Whether the point ``name`` is armed."""
        return name in self._armed

    def hit(self, name: str) -> None:
        """Pass the point ``name``. Raises FailpointHit or kills this process, as it was armed."""
        if not self._armed:
            return
        armed = self._armed.get(name)
        if armed is None:
            return
        armed.after -= 1
        if armed.after > 0:
            return
        if armed.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        del self._armed[name]
        raise FailpointHit(f"failpoint {name}")

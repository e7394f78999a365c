"""Repeats a fixed piece of work during a run, to measure how slow the machine is."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Final

INTERVAL: Final = 0.01  # seconds between two pieces
_BLOCK: Final = bytes(4096)  # small, so that it stays in the core's own cache
_BLOCKS: Final = 20  # 0.1 ms of work: 1 % of a core
_PRESSURE: Final = Path("/proc/pressure/cpu")


def piece() -> float:
    """Do the work once; return its CPU time in seconds."""
    began = time.thread_time()
    digest = hashlib.blake2b()
    for _ in range(_BLOCKS):
        digest.update(_BLOCK)
    digest.digest()
    return time.thread_time() - began


class Speedometer:
    """Takes ``samples``: second of the run, CPU seconds of a piece of work."""

    def __init__(self) -> None:
        self.samples: list[tuple[float, float]] = []

    async def run(self, zero: float) -> None:
        """Take samples until cancelled; ``zero`` is the start of the run by the loop's clock."""
        loop = asyncio.get_running_loop()
        while True:
            self.samples.append((loop.time() - zero, piece()))
            await asyncio.sleep(INTERVAL)


def waited() -> float | None:
    """Seconds since boot in which some process waited for a core; None: not reported."""
    try:
        some = _PRESSURE.read_text().splitlines()[0]
        return int(some.rpartition("total=")[2]) / 1_000_000
    except (OSError, ValueError, IndexError):
        return None

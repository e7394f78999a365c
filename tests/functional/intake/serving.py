"""A write path as a separate process, for tests with many connections.

``python -m tests.functional.intake.serving DIRECTORY`` prints the path of its socket, and serves.
It then prints a line of figures for each line that it reads, and ends with its input:

* the most memory that it has used, in bytes;
* its open files;
* the uploads in progress;
* the writes that wait.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys

from nova_cachemig.agent.writes import Writes
from tests.functional.replay.path import conf_for, service


async def main(directory: str) -> None:
    """Serve until the end of the input."""
    writes = Writes(conf_for(directory))
    await writes.start()
    await writes.open(service())
    print(writes.intake_socket, flush=True)
    while await asyncio.to_thread(sys.stdin.readline):
        figures = {
            "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            "files": len(os.listdir("/proc/self/fd")),  # noqa: PTH208 - only their number
            "uploads": writes._intakes["shop"].uploads,
            "waiting": (await writes.counts("shop")).waiting,
        }
        print(json.dumps(figures), flush=True)
    await writes.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))

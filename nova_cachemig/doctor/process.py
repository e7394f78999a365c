"""The agent's process on this node, if one runs."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Final

from nova_cachemig.doctor.verdicts.state import lock_holder

_OPEN_FILES: Final = re.compile(r"^Max open files\s+\S+\s+(\S+)", re.MULTILINE)
_CAPABILITIES: Final = re.compile(r"^CapEff:\s*([0-9a-f]+)", re.MULTILINE)


@dataclasses.dataclass(frozen=True, slots=True)
class AgentProcess:
    """``open_files``: its hard limit; None: unlimited."""

    pid: int
    account: int
    open_files: int | None
    capabilities: int


def find(state_dir: Path) -> AgentProcess | None:
    """Return the process that has locked the state directory; None if there is none to see.

    Takes no lock, so that an agent can start at the same time.
    """
    try:
        inode = (state_dir / "journal.lock").stat().st_ino
        pid = lock_holder(Path("/proc/locks").read_text(), inode)
        if not pid:
            return None
        home = Path(f"/proc/{pid}")
        limits, status = (home / "limits").read_text(), (home / "status").read_text()
        account = home.stat().st_uid
    except OSError:
        return None
    files, capabilities = _OPEN_FILES.search(limits), _CAPABILITIES.search(status)
    return AgentProcess(
        pid=pid,
        account=account,
        open_files=int(files[1]) if files and files[1].isdigit() else None,
        capabilities=int(capabilities[1], 16) if capabilities else 0,
    )

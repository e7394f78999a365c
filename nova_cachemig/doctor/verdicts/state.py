"""Verdicts on the agent's directories, and on its process."""

from __future__ import annotations

import dataclasses
from typing import Final

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning

_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "lustre", "fuse.glusterfs", "fuse.sshfs"}
)
_IN_MEMORY: Final = frozenset({"tmpfs", "ramfs"})
_MIB: Final = 1 << 20
_CAPABILITIES: Final = {12: "CAP_NET_ADMIN", 13: "CAP_NET_RAW"}
"""Bit → name. CAP_NET_BIND_SERVICE is only needed for front ports below 1024."""


@dataclasses.dataclass(frozen=True, slots=True)
class Directory:
    """A directory as it is on disk; ``free`` in bytes."""

    path: str
    mode: int
    owner: int
    free: int
    file_system: str


def file_system(mounts: str, path: str) -> str:
    """Return the type of the file system of a path, from /proc/self/mountinfo; "" if unknown."""
    best, found = "", ""
    for line in mounts.splitlines():
        fields, _, after = line.partition(" - ")
        point = fields.split()[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, found = point, after.split()[0]
    return found


def lock_holder(locks: str, inode: int) -> int | None:
    """Return the process that holds an flock on a file, from /proc/locks; None if there is none."""
    for line in locks.splitlines():
        fields = line.split()
        if "FLOCK" in fields and "->" not in fields and fields[5].rpartition(":")[2] == str(inode):
            return int(fields[4])
    return None


def state_dir(found: Directory, account: int | None, min_free: int) -> list[Verdict]:
    """``account``: the user id of the running agent, None if none runs; ``min_free`` in bytes."""
    return [_rights(found, account), _free(found, min_free), _state_file_system(found)]


def _rights(found: Directory, account: int | None) -> Verdict:
    if account not in {None, 0, found.owner}:
        return failed(
            f"{found.path} belongs to user id {found.owner}, and the agent runs as {account}",
            f"chown -R {account} {found.path}",
        )
    if found.mode & 0o007:
        return warning(
            f"{found.path} has mode {found.mode:04o}: every account on this node may enter it",
            f"chmod 0700 {found.path}",
        )
    return ok(f"{found.path} has mode {found.mode:04o} and belongs to user id {found.owner}")


def _free(found: Directory, min_free: int) -> Verdict:
    text = f"{found.path} has {found.free // _MIB} MiB free"
    remedy = "Free space, or move [agent] state_dir to a larger file system"
    if found.free < min_free:
        limit = f"less than [journal] min_free ({min_free // _MIB} MiB)"
        return failed(f"{text}, {limit}: the agent accepts no writes", remedy)
    if found.free < 4 * min_free:
        return warning(f"{text}; below {min_free // _MIB} MiB it accepts no writes", remedy)
    return ok(text)


def _state_file_system(found: Directory) -> Verdict:
    text = f"{found.path} is on a file system of type {found.file_system or 'unknown'}"
    remedy = "Move [agent] state_dir to a local disk"
    if found.file_system in _REMOTE:
        return failed(f"{text}: SQLite's write-ahead log and flock do not work there", remedy)
    if found.file_system in _IN_MEMORY:
        return failed(f"{text}: accepted writes are lost when the node restarts", remedy)
    if found.file_system == "overlay":
        return warning(
            f"{text}: the journal is lost with the container",
            "Mount a volume at [agent] state_dir",
        )
    return ok(text)


def runtime_dir(found: Directory, account: int | None) -> Verdict:
    """The directory of the engines' sockets."""
    if found.file_system in _REMOTE:
        return failed(
            f"{found.path} is on a file system of type {found.file_system}",
            "Set [engine] runtime_dir to a directory on a local file system, for instance in /run",
        )
    if account not in {None, 0, found.owner}:
        return failed(
            f"{found.path} belongs to user id {found.owner}, and the agent runs as {account}",
            f"chown {account} {found.path}",
        )
    return ok(f"{found.path} exists, on a file system of type {found.file_system or 'unknown'}")


def capabilities(effective: int) -> Verdict:
    """``effective``: the bits of CapEff of the running agent."""
    missing = [name for bit, name in _CAPABILITIES.items() if not effective >> bit & 1]
    if missing:
        return warning(
            f"The agent lacks {' and '.join(missing)}: after a pause, a write in flight may wait "
            "up to one second longer",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW in its unit",
        )
    return ok("The agent has CAP_NET_ADMIN and CAP_NET_RAW")

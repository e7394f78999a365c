"""The machine and the software of a measurement."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from typing import Any, Final

_PROGRAMS: Final = {
    "haproxy": ["haproxy", "-v"],
    "varnish": ["varnishd", "-V"],
    "qemu": ["qemu-system-x86_64", "--version"],
    "libvirt": ["libvirtd", "--version"],
}
_PACKAGES: Final = ("nova", "nova-cachemig", "oslo.messaging", "uvloop", "httptools")


def _version(command: list[str]) -> str | None:
    program = shutil.which(command[0]) or shutil.which(f"/usr/sbin/{command[0]}")
    if not program:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None  # an unknown version is no reason to fail the run
    found = re.search(r"\d+\.\d+[\w.~+-]*", done.stdout + done.stderr)
    return found[0] if found else None


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def collect() -> dict[str, Any]:
    """Versions, cores and the kernel; missing programs and packages are left out."""
    found: dict[str, Any] = {
        "kernel": platform.release(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
    }
    versions = {name: _version(command) for name, command in _PROGRAMS.items()}
    versions |= {name: _package(name) for name in _PACKAGES}
    return found | {name: version for name, version in versions.items() if version}

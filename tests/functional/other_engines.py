"""Other HAProxy and Varnish programs than those of the host, for all functional tests.

``CACHEMIG_ENGINES`` names a directory of tools/other-engines. The options of the programs then come
from the environment, in which agents look before their configuration files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path


def environment(directory: Path, path: str) -> Mapping[str, str]:
    """Return the variables for the engines in ``directory``; ``path`` is the present PATH."""
    programs = directory / "usr/sbin"
    if not (programs / "haproxy").exists():
        raise FileNotFoundError(f"CACHEMIG_ENGINES: {programs} has no haproxy")
    found = {"PATH": f"{programs}:{path}"}
    modules = sorted(directory.glob("usr/lib/*/varnish/vmods"))
    if modules:  # the program knows only the place where Debian installs them
        found["OS_ENGINE__VARNISHD_ARGS"] = f"-j,none,-p,vmod_path={modules[0]}"
    return found


def use() -> None:
    """Have this process and its children use them, if the variable is set."""
    directory = os.environ.get("CACHEMIG_ENGINES")
    if directory:
        os.environ.update(environment(Path(directory).resolve(), os.environ["PATH"]))

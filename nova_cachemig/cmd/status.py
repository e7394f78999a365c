"""The program ``nova-cachemig-status``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg
from oslo_upgradecheck import upgradecheck

from nova_cachemig.doctor.upgrade import Checks

FILES: Final = ("/etc/nova-cachemig/nova-cachemig.conf", "/etc/nova/nova.conf")
"""Read unless --config-file names others; each may be missing."""
_BROKEN: Final = 255
"""The exit code if the checks cannot run; not one of oslo.upgradecheck's."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``upgrade check``: 0 all succeeded, 1 a warning, 2 a failure, 255 not run."""
    conf = cfg.ConfigOpts()
    files = [path for path in FILES if Path(path).exists()]
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not files and "check" in arguments and not any(map(_names_files, arguments)):
        print(
            f"nova-cachemig-status: nothing to check: neither {' nor '.join(FILES)} exists. Name a "
            "file with --config-file",
            file=sys.stderr,
        )
        return _BROKEN
    try:
        return int(
            upgradecheck.main(
                conf, "nova-cachemig", Checks(conf), arguments, default_config_files=files
            )
        )
    except cfg.Error as exc:
        print(f"nova-cachemig-status: {exc}", file=sys.stderr)
        return _BROKEN


def _names_files(argument: str) -> bool:
    return argument.startswith(("--config-file", "--config-dir"))

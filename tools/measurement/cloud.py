"""Runs ``tools/cloud`` for the demonstration. Standard library only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent.parent
STATE: Final = Path(os.environ.get("CACHEMIG_CLOUD_DIR", "/var/lib/cachemig-cloud"))


class CloudError(Exception):
    """A command of the cloud failed; the text names the command and the error."""


class Cloud:
    """Runs ``tools/cloud``; its progress goes to standard error."""

    def __init__(self) -> None:
        self._described: dict[str, Any] = {}

    def command(self, *words: str) -> list[str]:
        """The command line for these arguments."""
        return [str(ROOT / "tools" / "cloud"), *words]

    def run(self, *words: str, quiet: bool = False) -> str:
        """Run to the end and return the standard output; raises CloudError."""
        done = subprocess.run(
            self.command(*words),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quiet else None,
            text=True,
            check=False,
        )
        if done.returncode:
            said = f": {done.stderr.strip()[-400:]}" if quiet and done.stderr else ""
            raise CloudError(f"tools/cloud {' '.join(words)[:120]} gave {done.returncode}{said}")
        return done.stdout

    def up(self, *words: str) -> None:
        """Start the cloud; its progress goes to standard error. Raises CloudError."""
        done = subprocess.run(self.command("up", *words), stdout=sys.stderr, check=False)
        if done.returncode:
            raise CloudError(f"tools/cloud up gave {done.returncode}")
        self._described = json.loads((STATE / "cloud.json").read_text())

    @property
    def python(self) -> str:
        """The Python interpreter with the project and its requirements."""
        return f"{self._described['venv']}/bin/python"

    @property
    def front(self) -> str:
        """The first front address of the cache node."""
        return str(self._described["front_addresses"][0])

    @property
    def config(self) -> str:
        """The agent's configuration file on the cache node."""
        return str(self._described["agent"]["config"])

    def address(self, host: str) -> str:
        """The address of a host of the cloud."""
        return str(self._described["hosts"][host]["address"])

    def on(self, host: str, *words: str, quiet: bool = True) -> str:
        """Run a command on a host; raises CloudError."""
        return self.run("exec", host, "--", *words, quiet=quiet)

    def manage(self, *words: str) -> str:
        """``nova-cachemig-manage`` on the cache node; raises CloudError."""
        program = f"{self._described['venv']}/bin/nova-cachemig-manage"
        return self.on("cache", program, "--config-file", self.config, *words)

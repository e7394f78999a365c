"""Runs the commands of this tree in the virtual environment that ``tools/test`` creates."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

_NEEDED = "oslo_config"  # stands for all requirements: nothing else brings it along


def enter() -> None:
    """Run the same command again under ``.venv``, unless this interpreter has the requirements.

    Ends the process with a sentence if neither has it. Does nothing in an activated virtual
    environment.
    """
    if sys.prefix != sys.base_prefix:
        return
    python = Path(__file__).resolve().parents[1] / ".venv/bin/python"
    if python.exists():
        os.execv(python, [str(python), *sys.argv])
    if importlib.util.find_spec(_NEEDED) is None:
        sys.exit(
            f"{sys.argv[0]}: {sys.executable} lacks the project's requirements. Run "
            "`tools/test --only lint` once, which installs them into .venv, or activate an "
            "environment with all extras of setup.cfg and test-requirements.txt."
        )

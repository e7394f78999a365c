"""The presets: policies for common applications, one YAML file for each, read once.

A preset has rules as a service's own policy. It names only what holds for every site with that
application: paths that it protects by a login on some sites are left out.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import yaml

from nova_cachemig.agent.services import policy
from nova_cachemig.model.policy import Rule

_FILES = Path(__file__).parent / "preset_files"


@functools.cache
def load() -> dict[str, tuple[Rule, ...]]:
    """Return the rules of each preset by its name; ``default`` applies to all services."""
    found = {}
    for file in _FILES.glob("*.yaml"):
        entries: list[dict[str, Any]] = yaml.safe_load(file.read_text("utf-8"))["rules"]
        origin = file.stem if file.stem == policy.DEFAULT else f"preset {file.stem}"
        found[file.stem] = tuple(policy.rule(entry, origin) for entry in entries)
    return found


def names() -> list[str]:
    """Return the names that a policy can give, in alphabetical order."""
    return sorted(load().keys() - {policy.DEFAULT})

"""The subjects, in the order in which their checks run."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Final, Protocol, cast

from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import skipped

ON_CACHE_NODE: Final = (
    "state",
    "journal",
    "services",
    "engine",
    "bus",
    "nova",
    "guests",
    "clock",
    "telemetry",
)
"""Subjects that look at the agent's configuration."""

IN_NOVA: Final = ("nova_conf", "compute_bus", "libvirt")
"""Subjects that look at nova.conf."""


class Subject(Protocol):
    """A module of this package."""

    def checks(self, context: Context) -> Sequence[Check]:
        """Return the checks. Does no I/O."""


def checks(context: Context) -> list[Check]:
    """Return the checks of every subject whose configuration is given."""
    names = (ON_CACHE_NODE if context.conf else ()) + (IN_NOVA if context.nova_conf else ())
    return [check for name in names for check in _load(name, context)]


def _load(name: str, context: Context) -> Sequence[Check]:
    """Return the checks of one subject. Each host has the libraries of its parts only."""
    try:
        module = importlib.import_module(f"nova_cachemig.doctor.{name}")
    except ImportError as exc:
        why = f"a library is missing ({exc}): install nova-cachemig[agent] to check this"
        return [Check(name, lambda: [skipped(why)])]
    return cast(Subject, module).checks(context)

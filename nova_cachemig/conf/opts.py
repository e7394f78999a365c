"""Lists every option for the sample generator: the agent's file and Nova's file separately."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import nova_cachemig.conf

IN_NOVA = frozenset({"announce", "compute", "scheduler"})
"""Modules whose group belongs in nova.conf, not in nova-cachemig.conf."""


def modules(*, in_nova: bool) -> Iterator[Any]:
    """Yield the module of each group of options that belongs in nova.conf, or that does not.

    The others are not imported: Nova's environment may lack their libraries.
    """
    for found in pkgutil.iter_modules(nova_cachemig.conf.__path__):
        if (found.name in IN_NOVA) == in_nova:
            module = importlib.import_module(f"nova_cachemig.conf.{found.name}")
            if hasattr(module, "GROUP"):
                yield module


def list_agent_opts() -> list[tuple[Any, list[Any]]]:
    """Options of the agent and the forecaster."""
    return [pair for module in modules(in_nova=False) for pair in module.list_opts()]


def list_nova_opts() -> list[tuple[Any, list[Any]]]:
    """Options in nova.conf."""
    return [pair for module in modules(in_nova=True) for pair in module.list_opts()]

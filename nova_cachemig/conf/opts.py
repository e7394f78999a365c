"""Lists every option for the sample generator: the agent's file and Nova's file separately."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import nova_cachemig.conf

IN_NOVA = frozenset({"compute", "scheduler"})
"""Modules whose group belongs in nova.conf, not in nova-cachemig.conf."""


def modules() -> Iterator[tuple[str, Any]]:
    """Yield the name and the module of each group of options."""
    for found in pkgutil.iter_modules(nova_cachemig.conf.__path__):
        module = importlib.import_module(f"nova_cachemig.conf.{found.name}")
        if hasattr(module, "GROUP"):
            yield found.name, module


def list_agent_opts() -> list[tuple[Any, list[Any]]]:
    """Options of the agent and the forecaster."""
    return [pair for name, mod in modules() if name not in IN_NOVA for pair in mod.list_opts()]


def list_nova_opts() -> list[tuple[Any, list[Any]]]:
    """Options in nova.conf."""
    return [pair for name, mod in modules() if name in IN_NOVA for pair in mod.list_opts()]

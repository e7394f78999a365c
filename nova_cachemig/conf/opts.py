"""Lists every option for the sample generator: the agent's file and Nova's file apart."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import nova_cachemig.conf

# The module's GROUP is registered in nova.conf, not in nova-cachemig.conf.
IN_NOVA = frozenset({"compute", "scheduler"})


def _modules() -> Iterator[tuple[str, Any]]:
    for found in pkgutil.iter_modules(nova_cachemig.conf.__path__):
        if found.name not in {"opts", "setup"}:
            yield found.name, importlib.import_module(f"nova_cachemig.conf.{found.name}")


def list_agent_opts() -> list[tuple[Any, list[Any]]]:
    """Options of the agent and the forecaster."""
    return [pair for name, mod in _modules() if name not in IN_NOVA for pair in mod.list_opts()]


def list_nova_opts() -> list[tuple[Any, list[Any]]]:
    """Options in nova.conf."""
    return [pair for name, mod in _modules() if name in IN_NOVA for pair in mod.list_opts()]

"""Reads the agent's configuration files into a ConfigOpts with every option known."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence

from oslo_config import cfg

import nova_cachemig.conf
from nova_cachemig.conf.opts import IN_NOVA

_NO_GROUPS = frozenset({"opts", "setup"})


def register_all(conf: cfg.ConfigOpts) -> None:
    """Make every option of the agent and the forecaster known to ``conf``."""
    for found in pkgutil.iter_modules(nova_cachemig.conf.__path__):
        if found.name not in _NO_GROUPS | IN_NOVA:
            importlib.import_module(f"nova_cachemig.conf.{found.name}").register(conf)


def read(conf: cfg.ConfigOpts, files: Sequence[str], args: Sequence[str] = ()) -> None:
    """Register all and parse; raises cfg.Error that says what is wrong and where."""
    register_all(conf)
    conf(list(args), project="nova-cachemig", default_config_files=list(files))
    # oslo.config looks at a value when it is asked for: ask now, not in the middle of a handover
    for options in conf.values():
        if isinstance(options, cfg.ConfigOpts.GroupAttr):
            for name in options:
                options[name]

"""Reads the agent's configuration files into a ConfigOpts with every option registered."""

from __future__ import annotations

from collections.abc import Sequence

from oslo_config import cfg

from nova_cachemig.conf.opts import modules


def register_all(conf: cfg.ConfigOpts) -> None:
    """Register every option of the agent and the forecaster."""
    for module in modules(in_nova=False):
        module.register(conf)


def read(conf: cfg.ConfigOpts, files: Sequence[str], args: Sequence[str] = ()) -> None:
    """Register all options and parse the files; raises cfg.Error that names the mistake."""
    register_all(conf)
    conf(list(args), project="nova-cachemig", default_config_files=list(files))
    # oslo.config checks a value when it is first read: read all now, not during a handover
    for options in conf.values():
        if isinstance(options, cfg.ConfigOpts.GroupAttr):
            for name in options:
                options[name]

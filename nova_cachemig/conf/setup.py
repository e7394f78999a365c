"""Reads the configuration files into a ConfigOpts with every option registered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from oslo_config import cfg

from nova_cachemig.conf import values
from nova_cachemig.conf.opts import modules

PROJECT: Final = "nova-cachemig"
FILE: Final = "/etc/nova-cachemig/nova-cachemig.conf"
EXIT_CODE: Final = 2
"""The exit code of a program whose arguments or configuration are wrong; argparse's is the same."""


def register_all(conf: cfg.ConfigOpts) -> None:
    """Register every option of the agent and the forecaster."""
    for module in modules(in_nova=False):
        module.register(conf)


def read(
    conf: cfg.ConfigOpts,
    files: Sequence[str],
    args: Sequence[str] = (),
    *,
    register: Callable[[cfg.ConfigOpts], None] = register_all,
    prog: str | None = None,
    description: str | None = None,
) -> None:
    """Register the options and parse the files. Raises cfg.Error: one sentence for the operator.

    ``files`` are read unless ``args`` names others. ``prog`` and ``description`` are for --help.
    """
    register(conf)
    try:
        conf(
            list(args),
            project=PROJECT,
            prog=prog,
            default_config_files=list(files),
            description=description,
        )
    except cfg.ConfigFilesNotFoundError as exc:
        raise cfg.Error(
            f"configuration file {', '.join(exc.config_files)} does not exist: write it, or name "
            "another file with --config-file"
        ) from exc
    except cfg.ConfigFileParseError as exc:
        raise cfg.Error(f"configuration file {exc.config_file} is not valid: {exc.msg}") from exc
    except cfg.ConfigFilesPermissionDeniedError as exc:
        raise cfg.Error(
            f"configuration file {', '.join(exc.config_files)} cannot be read: permission denied. "
            "Run the command as root or as the agent's account"
        ) from exc
    if not conf.config_file and not conf.config_dir:
        raise cfg.Error(f"no configuration file: write {FILE}, or name one with --config-file")
    values.check(conf)

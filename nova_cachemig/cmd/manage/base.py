"""What the commands share: the configuration that the program read."""

from __future__ import annotations

from typing import cast

from cliff.command import Command
from oslo_config import cfg

from nova_cachemig.cmd.manage.app import ManageApp


def conf_of(command: Command) -> cfg.ConfigOpts:
    """The agent's configuration."""
    return cast(ManageApp, command.app).conf

"""The parts that the commands share: the configuration, and the agent that they ask."""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from typing import cast

from cliff.command import Command
from oslo_config import cfg

from nova_cachemig.agent.offline import OfflineAgent
from nova_cachemig.cmd.manage.app import ManageApp
from nova_cachemig.cmd.manage.online import Agent, OnlineAgent


def conf_of(command: Command) -> cfg.ConfigOpts:
    """The configuration that the program has read."""
    return cast(ManageApp, command.app).conf


def is_offline(command: Command) -> bool:
    """Whether the operator gave ``--offline``."""
    return bool(command.app.options.offline)


@contextlib.contextmanager
def agent_of(command: Command) -> Iterator[Agent]:
    """The agent: over RPC or, with ``--offline``, its files."""
    if is_offline(command):
        yield OfflineAgent(conf_of(command))
    else:
        with online_agent(command) as agent:
            yield agent


@contextlib.contextmanager
def online_agent(command: Command) -> Iterator[OnlineAgent]:
    """The agent over RPC."""
    conf, options = conf_of(command), command.app.options
    agent = OnlineAgent(conf, options.agent or conf.agent.host, options.timeout)
    try:
        yield agent
    finally:
        agent.close()


def operator() -> str:
    """Who gives this command, for the record: ``USER@HOST``, through sudo too."""
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"

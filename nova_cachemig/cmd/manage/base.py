"""The parts that the commands share: the configuration, and the agent that they ask."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import os
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from cliff.command import Command
from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage.app import ManageApp
from nova_cachemig.cmd.manage.online import Agent, OnlineAgent
from nova_cachemig.conf import setup
from nova_cachemig.forecaster.query import QueryError

if TYPE_CHECKING:
    from nova_cachemig.agent.offline import OfflineAgent


def conf_of(command: Command) -> cfg.ConfigOpts:
    """The configuration that the program has read."""
    return cast(ManageApp, command.app).conf


def is_offline(command: Command) -> bool:
    """Whether the operator gave ``--offline``."""
    return bool(command.app.options.offline)


def files_of(command: Command) -> OfflineAgent:
    """The files of the agent on this node; raises ComponentError if another one is wanted."""
    host, own = command.app.options.agent, conf_of(command).agent.host
    if host not in {None, own}:
        raise ComponentError(
            f"--offline reads the files of this node's agent, {own}, not those of {host}: "
            "run the command there, without --agent"
        )
    from nova_cachemig.agent.offline import OfflineAgent  # a second that most commands save

    return OfflineAgent(conf_of(command))


@contextlib.contextmanager
def agent_of(command: Command) -> Iterator[Agent]:
    """The agent: over RPC or, with ``--offline``, its files."""
    if is_offline(command):
        yield files_of(command)
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


class PlainErrors(Command):
    """A command whose errors are sentences: one line for each, no traceback.

    The exit code is 2 for a mistake in the configuration, else 1. With ``--debug`` the traceback
    is shown.
    """

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command and print the lines of an error; the exit code."""
        try:
            return int(super().run(parsed_args) or 0)
        except (ComponentError, QueryError, cfg.Error) as exc:
            if self.app.options.debug:
                raise
            for line in getattr(exc, "errors", [str(exc)]):
                self.app.stderr.write(f"nova-cachemig-manage: {line}\n")
            return setup.EXIT_CODE if isinstance(exc, cfg.Error) else 1


def operator() -> str:
    """The operator who gives this command, for the record: ``USER@HOST``, through sudo too."""
    user = os.environ.get("SUDO_USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}"

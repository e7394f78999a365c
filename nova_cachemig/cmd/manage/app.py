"""The program ``nova-cachemig-manage``. cliff provides its tables and ``-f json``."""

from __future__ import annotations

import argparse
import functools
import logging
import sys
from importlib import metadata

from cliff.app import App
from cliff.commandmanager import CommandManager
from oslo_config import cfg

from nova_cachemig.cmd.manage.arguments import number
from nova_cachemig.conf import setup

TIMEOUT = 10.0
_LIBRARIES = (
    "alembic",
    "amqp",
    "keystoneauth",
    "kombu",
    "oslo.messaging",
    "oslo_db",
    "oslo_messaging",
)


class ManageApp(App):
    """Asks an agent or a forecaster over RPC; with ``--offline``, reads the agent's files."""

    def __init__(self) -> None:
        super().__init__(
            description="Manage the services, handovers, quarantined writes and forecasts of "
            "nova-cachemig.",
            version=metadata.version("nova-cachemig"),
            command_manager=CommandManager("nova_cachemig.manage"),
            deferred_help=True,
        )

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: object = None
    ) -> argparse.ArgumentParser:
        """Return cliff's parser with the options of the program."""
        parser = super().build_option_parser(description, version)
        parser.add_argument(
            "--config-file",
            metavar="FILE",
            action="append",
            help=f"Configuration file of the agent (default: {setup.FILE}). Repeat the option "
            "for several files; a later file overrides an earlier one.",
        )
        parser.add_argument(
            "--agent",
            metavar="HOST",
            help="Ask the agent with this [agent] host (default: the one in the configuration).",
        )
        parser.add_argument(
            "--timeout",
            metavar="SECONDS",
            type=number(float, 0.001, 3600),
            default=TIMEOUT,
            help=f"Wait at most this many seconds for each response of the agent (default: "
            f"{TIMEOUT:g}). The forecaster's is [forecaster] rpc_timeout.",
        )
        parser.add_argument(
            "--offline",
            action="store_true",
            help="Do not ask the agent. Read and write its database and service files on this "
            "node, for instance while no agent runs. The commands about forecasts still ask "
            "the forecaster; agent show refuses the option.",
        )
        return parser

    @functools.cached_property
    def conf(self) -> cfg.ConfigOpts:
        """The configuration, read when a command needs it. Raises cfg.Error: one sentence."""
        conf = cfg.ConfigOpts()
        setup.read(conf, self.options.config_file or [setup.FILE])
        return conf

    def initialize_app(self, argv: list[str]) -> None:
        """Keep the libraries' log lines from the operator, unless asked by ``--verbose``."""
        if self.options.verbose_level <= 1:  # the commands say themselves what is wrong
            for name in _LIBRARIES:
                logging.getLogger(name).setLevel(logging.CRITICAL)

    def interact(self) -> None:
        """Without a command: point to the help instead of starting cliff's shell."""
        self.parser.error("a command is missing; --help lists them")


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    return int(ManageApp().run(sys.argv[1:] if argv is None else argv))

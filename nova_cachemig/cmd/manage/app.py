"""The program ``nova-cachemig-manage``. cliff gives it its tables and ``-f json``."""

from __future__ import annotations

import argparse
import sys
from importlib import metadata

from cliff.app import App
from cliff.commandmanager import CommandManager
from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.conf import setup

DEFAULT_FILE = "/etc/nova-cachemig/nova-cachemig.conf"


class ManageApp(App):
    """Works on the files of this cache node, with the agent running or not."""

    def __init__(self) -> None:
        super().__init__(
            description="Services, handovers, the journal and forecasts of nova-cachemig.",
            version=metadata.version("nova-cachemig"),
            command_manager=CommandManager("nova_cachemig.manage"),
            deferred_help=True,
        )
        self.conf = cfg.ConfigOpts()

    def build_option_parser(
        self, description: str | None, version: str | None, argparse_kwargs: object = None
    ) -> argparse.ArgumentParser:
        """Return cliff's parser with ``--config-file``."""
        parser = super().build_option_parser(description, version)
        parser.add_argument(
            "--config-file",
            metavar="FILE",
            action="append",
            help=f"the agent's configuration (default: {DEFAULT_FILE})",
        )
        return parser

    def run_subcommand(self, argv: list[str]) -> int:
        """Run one command; what a part could not do is one clear line, not a traceback."""
        try:
            return int(super().run_subcommand(argv) or 0)
        except ComponentError as exc:
            raise SystemExit(f"nova-cachemig-manage: {exc}") from exc

    def initialize_app(self, argv: list[str]) -> None:
        """Read the configuration; a mistake in it is one clear line."""
        files = self.options.config_file or [DEFAULT_FILE]
        try:
            setup.read(self.conf, files)
        except cfg.Error as exc:
            raise SystemExit(f"nova-cachemig-manage: {exc}") from exc


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit code."""
    return int(ManageApp().run(sys.argv[1:] if argv is None else argv))

"""``forecast show|explain`` and ``rank``: the forecasts, and the host that they favour."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cliff.command import Command
from cliff.lister import Lister

from nova_cachemig.cmd.manage import arguments
from nova_cachemig.cmd.manage.base import PlainErrors, conf_of
from nova_cachemig.forecaster import query


class Show(PlainErrors, Lister):
    """Show the load of all hosts now, its forecast, and the probability of overload.

    Prints to standard error why samples are missing, and how many were rejected.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        shown = query.show(conf_of(self))
        _say(self, query.show_notes(shown))
        return query.show_table(shown)


class Explain(PlainErrors, Lister):
    """Explain the forecast of one host: quantiles, weight of each method, reasons."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the host."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", help="name of the host in Nova")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        return query.explain_table(query.explain(conf_of(self), parsed_args.host))


class Rank(PlainErrors, Lister):
    """Rank the hosts for an instance by forecast load.

    Prints the reasons for the choice to standard error.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the instance."""
        parser = super().get_parser(prog_name)
        parser.add_argument("instance", type=arguments.instance, help="UUID of the instance")
        parser.add_argument(
            "--vcpus",
            type=int,
            metavar="NUMBER",
            help="Virtual CPUs of the instance, to estimate its load if there are no samples of "
            "it (default: it adds no load).",
        )
        parser.add_argument(
            "--plot",
            type=Path,
            metavar="FILE",
            help="Also draw history and forecast of the best hosts to this file; its suffix "
            "(.png, .svg or .pdf) is the format. Needs matplotlib.",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        args = parsed_args
        ranked = query.rank(conf_of(self), args.instance, args.vcpus, args.plot)
        _say(self, ranked["reasons"])
        return query.rank_table(ranked)


def _say(command: Command, sentences: Iterable[str]) -> None:
    """Write to standard error: standard output is the table, for programs too."""
    for sentence in sentences:
        command.app.stderr.write(f"{sentence}\n")

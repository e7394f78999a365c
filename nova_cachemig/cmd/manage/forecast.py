"""``forecast show|explain`` and ``rank``: what the schedulers know, and what would be chosen."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from cliff.lister import Lister

from nova_cachemig.cmd.manage.base import conf_of
from nova_cachemig.forecaster import query


def _stop(exc: query.QueryError) -> SystemExit:
    return SystemExit(f"nova-cachemig-manage: {exc}")


class Show(Lister):
    """All hosts: load now, forecast, probability of overload."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        try:
            return query.show_table(query.show(conf_of(self)))
        except query.QueryError as exc:
            raise _stop(exc) from exc


class Explain(Lister):
    """One host: quantiles, what each forecaster counts, and why."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the host."""
        parser = super().get_parser(prog_name)
        parser.add_argument("host", help="as Nova names it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        try:
            return query.explain_table(query.explain(conf_of(self), parsed_args.host))
        except query.QueryError as exc:
            raise _stop(exc) from exc


class Rank(Lister):
    """Where an instance would go now, and why."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the instance."""
        parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="UUID of the instance")
        parser.add_argument("--vcpus", type=int, help="if nothing is known of its load")
        parser.add_argument(
            "--plot", type=Path, metavar="FILE", help="a picture (png, svg, pdf); needs matplotlib"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        args = parsed_args
        try:
            return query.rank_table(query.rank(conf_of(self), args.instance, args.vcpus, args.plot))
        except query.QueryError as exc:
            raise _stop(exc) from exc

"""``handover list|show``: the handovers of this agent."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage import arguments
from nova_cachemig.cmd.manage.base import PlainErrors, agent_of
from nova_cachemig.report.handover import SUMMARY_COLUMNS, phase_times, story, summary_row
from nova_cachemig.rpc.agent import HANDOVERS_LIMIT


class List(PlainErrors, Lister):
    """List the last handovers, the newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with ``--limit``."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--limit",
            metavar="NUMBER",
            type=arguments.number(int, 1, HANDOVERS_LIMIT),
            default=20,
            help=f"List at most this many handovers, up to {HANDOVERS_LIMIT} (default: 20).",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        with agent_of(self) as agent:
            found = agent.handovers(parsed_args.limit)
        return SUMMARY_COLUMNS, [summary_row(record) for record in found]


class Show(PlainErrors, ShowOne):
    """Show one handover: its phases, numbers, and a sentence for each decision."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the arguments that name a handover."""
        parser = super().get_parser(prog_name)
        parser.add_argument("instance", type=arguments.instance, help="UUID of the instance")
        parser.add_argument(
            "request",
            nargs="?",
            help="Nova's request id of the migration (default: the newest of the instance)",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values; in other formats than the table, the whole record."""
        with agent_of(self) as agent:
            record = agent.handover(parsed_args.instance, parsed_args.request)
        if record is None:
            request = f" and request {parsed_args.request}" if parsed_args.request else ""
            raise ComponentError(
                f"instance {parsed_args.instance}{request} has no known handover; 'handover list' "
                "shows the known ones"
            )
        if parsed_args.formatter != "table":
            wire = record.to_wire() | {"phases": phase_times(record)}
            return tuple(wire), tuple(wire.values())
        shown = dict(zip(SUMMARY_COLUMNS, summary_row(record), strict=True))
        shown["Services"] = ", ".join(record.services)
        shown |= {_label(name): str(count) for name, count in sorted(record.counts.items())}
        shown["Story"] = story(record)
        return tuple(shown), tuple(shown.values())


def _label(name: str) -> str:
    return name.replace("_", " ").capitalize()

"""``handover list|show``: what happened."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.lister import Lister
from cliff.show import ShowOne

from nova_cachemig.agent.journal.offline import newest_handovers
from nova_cachemig.cmd.manage.base import conf_of
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.report.handover import SUMMARY_COLUMNS, phase_times, story, summary_row

KEPT = 1000


class List(Lister):
    """The newest handovers, the newest first."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with ``--limit``."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--limit", type=int, default=20, help="how many (default: 20)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        found = newest_handovers(conf_of(self), parsed_args.limit)
        return SUMMARY_COLUMNS, [summary_row(record) for record in found]


class Show(ShowOne):
    """One handover: phases with their times, numbers, one sentence a decision."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with what names a handover."""
        parser = super().get_parser(prog_name)
        parser.add_argument("instance", help="UUID of the instance")
        parser.add_argument("request", nargs="?", help="Nova's request id (default: the newest)")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values; as JSON the whole record."""
        record = self._find(parsed_args.instance, parsed_args.request)
        if parsed_args.formatter != "table":
            wire = record.to_wire() | {"phases": phase_times(record)}
            return tuple(wire), tuple(wire.values())
        shown = dict(zip(SUMMARY_COLUMNS, summary_row(record), strict=True))
        shown["Services"] = ", ".join(record.services)
        shown |= {name.capitalize(): str(count) for name, count in sorted(record.counts.items())}
        shown["Story"] = story(record)
        return tuple(shown), tuple(shown.values())

    def _find(self, instance: str, request: str | None) -> HandoverRecord:
        for record in newest_handovers(conf_of(self), KEPT):
            if record.id.instance == instance and request in {None, record.id.request}:
                return record
        raise SystemExit(
            f"No handover of instance {instance}{f' and request {request}' if request else ''} "
            "is known here; 'handover list' shows those that are."
        )

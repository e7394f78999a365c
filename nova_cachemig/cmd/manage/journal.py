"""``journal list|show|resend|discard|export``: writes that wait for a person's decision."""

from __future__ import annotations

import argparse
import json
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from nova_cachemig.agent.journal import aside
from nova_cachemig.agent.journal.reading import engine_of
from nova_cachemig.cmd.manage.base import conf_of
from nova_cachemig.model.write import WriteState

_COLUMNS = ("write", "state", "method", "url", "accepted_at", "note")


class List(Lister):
    """Writes that were set aside, or all that are not answered."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with what narrows the list."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--service", help="of this service only")
        parser.add_argument("--waiting", action="store_true", help="also those that wait")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        states = aside.ASIDE + ((WriteState.ACCEPTED,) if parsed_args.waiting else ())
        found = aside.find_all(engine_of(conf_of(self)), states, parsed_args.service)
        told = (aside.facts(stored, body=False) for stored in found)
        return _COLUMNS, [tuple(facts.get(name) for name in _COLUMNS) for facts in told]


class _OneWrite(Command):
    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="SERVICE/POSITION")
        parser.add_argument("--reason", default="", help="kept with the write")
        return parser


class Show(ShowOne):
    """One write, its body in base64."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="SERVICE/POSITION")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        facts = aside.facts(aside.show(engine_of(conf_of(self)), parsed_args.name))
        return tuple(facts), tuple(facts.values())


class Resend(_OneWrite):
    """Send a write that is in doubt again, as the newest of its service."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Mark it; the agent sends it within seconds."""
        aside.resend(engine_of(conf_of(self)), parsed_args.name, parsed_args.reason)


class Discard(_OneWrite):
    """Never send a write that was set aside."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Mark it."""
        aside.discard(engine_of(conf_of(self)), parsed_args.name, parsed_args.reason)


class Export(Command):
    """All writes that were set aside, a JSON object a line."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write to standard output."""
        for stored in aside.find_all(engine_of(conf_of(self))):
            self.app.stdout.write(json.dumps(aside.facts(stored)) + "\n")

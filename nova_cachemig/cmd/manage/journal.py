"""``journal list|show|resend|discard|export``: writes that wait for a person's decision."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne

from nova_cachemig.agent.journal import quarantine
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.offline import engine_of, spool_of
from nova_cachemig.agent.journal.queries import StoredWrite
from nova_cachemig.agent.journal.spool import Spool
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
        states = quarantine.QUARANTINED + ((WriteState.ACCEPTED,) if parsed_args.waiting else ())
        conf = conf_of(self)
        cipher = spool_of(conf).cipher
        found = quarantine.find_all(engine_of(conf), states, parsed_args.service, cipher)
        told = (quarantine.facts(stored, body=False) for stored in found)
        return _COLUMNS, [tuple(facts.get(name) for name in _COLUMNS) for facts in told]


class _OneWrite(Command):
    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="SERVICE/POSITION")
        parser.add_argument("--reason", default="", help="kept with the write")
        return parser


class Show(ShowOne):
    """One write, its body in base64, or in a file of yours."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", metavar="SERVICE/POSITION")
        parser.add_argument("--body", metavar="FILE", help="write its body to this new file")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        conf = conf_of(self)
        spool = spool_of(conf)
        stored = quarantine.show(engine_of(conf), parsed_args.name, spool.cipher)
        if parsed_args.body is not None:
            _write_body(stored, spool, Path(parsed_args.body))
        facts = quarantine.facts(stored, body=parsed_args.body is None)
        return tuple(facts), tuple(facts.values())


class Resend(_OneWrite):
    """Send a write that is in doubt again, as the newest of its service."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Mark it; the agent sends it within seconds."""
        quarantine.resend(engine_of(conf_of(self)), parsed_args.name, parsed_args.reason)


class Discard(_OneWrite):
    """Never send a write that was set aside."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Mark it."""
        quarantine.discard(engine_of(conf_of(self)), parsed_args.name, parsed_args.reason)


class Export(Command):
    """All writes that were set aside, a JSON object a line."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with where large bodies go."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--bodies",
            metavar="DIRECTORY",
            help="write bodies that are too large for a line (those with a spool file) there, "
            "each in a file SERVICE-POSITION",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write to standard output."""
        conf = conf_of(self)
        spool = spool_of(conf)
        for stored in quarantine.find_all(engine_of(conf), cipher=spool.cipher):
            facts = quarantine.facts(stored)
            if parsed_args.bodies is not None and facts.get("spool") is not None:
                path = Path(parsed_args.bodies) / f"{stored.service}-{stored.position}"
                try:
                    _write_body(stored, spool, path)
                    facts["body_file"] = str(path)
                except JournalError as exc:  # the others are exported all the same
                    facts["unreadable"] = str(exc)
            self.app.stdout.write(json.dumps(facts) + "\n")


def _write_body(stored: StoredWrite, spool: Spool, path: Path) -> None:
    """Write to a new file for the caller alone; none stays where it cannot be had whole."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.writelines(quarantine.body(stored, spool))
    except OSError as exc:
        raise JournalError(f"The body cannot be written to {path}: {exc.strerror}") from exc
    except JournalError:
        path.unlink()
        raise

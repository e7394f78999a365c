"""``journal list|show|resend|discard|export``: the operator's decisions on quarantined writes."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, Final

from cliff.columns import FormattableColumn
from cliff.lister import Lister
from cliff.show import ShowOne

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage import arguments
from nova_cachemig.cmd.manage.base import PlainErrors, agent_of, operator
from nova_cachemig.cmd.manage.online import Agent
from nova_cachemig.model.write import WriteState
from nova_cachemig.report.handover import utc

QUARANTINED: Final = (WriteState.IN_DOUBT, WriteState.DAMAGED)
_LISTED: Final = (*QUARANTINED, WriteState.RESEND)  # the last: decided, but not yet sent again
_COLUMNS = ("write", "state", "method", "url", "accepted_at", "note")
_NAME_HELP = "name of the write, as 'journal list' shows it, for instance shop/12"


class _Time(FormattableColumn[float]):
    """UNIX seconds, for people in UTC."""

    def human_readable(self) -> str:
        return utc(self._value)


def _value(name: str, facts: dict[str, Any]) -> Any:
    value = facts.get(name)
    return _Time(value) if name.endswith("_at") and value is not None else value


class List(PlainErrors, Lister):
    """List the quarantined writes: in doubt or damaged, they wait for the operator's decision.

    A write is in doubt if it was sent, or may have been sent, if it has no recorded response, and
    if it must not be sent twice.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the filters."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--service", metavar="NAME", help="List writes of this service only.")
        parser.add_argument(
            "--waiting",
            action="store_true",
            help="List also the accepted writes that wait to be sent to the guest.",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        states = _LISTED + ((WriteState.ACCEPTED,) if parsed_args.waiting else ())
        with agent_of(self) as agent:
            found = list(agent.writes(states, parsed_args.service))
            if not found and parsed_args.service is not None:
                _check_service(agent, parsed_args.service)
        return _COLUMNS, [tuple(_value(name, facts) for name in _COLUMNS) for facts in found]


class Show(PlainErrors, ShowOne):
    """Show one write: its state, request, headers, and body in base64 or in a file.

    Over RPC, the agent serves headers and body only with [agent] serve_journal = content. With
    --offline, on the agent's node, the command reads them itself.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "name", type=arguments.write, metavar="SERVICE/POSITION", help=_NAME_HELP
        )
        parser.add_argument(
            "--body",
            metavar="FILE",
            help="Save the body to this new file, which only you can read, instead of showing it. "
            "A body that is too large to show needs this.",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        with agent_of(self) as agent:
            facts = agent.write(parsed_args.name)
            if parsed_args.body is not None:
                _save_body(agent, parsed_args.name, Path(parsed_args.body))
                facts.pop("headers", None)
                facts.pop("body", None)
        return tuple(facts), tuple(_value(name, facts) for name in facts)


class _Decision(PlainErrors):
    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the write's name and the reason."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "name", type=arguments.write, metavar="SERVICE/POSITION", help=_NAME_HELP
        )
        parser.add_argument(
            "--reason",
            metavar="TEXT",
            default="",
            help="Keep this text with the write, beside your name.",
        )
        return parser


class Resend(_Decision):
    """Send a write in doubt to the guest again, as the newest write of its service."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Record the decision; the agent sends the write within seconds."""
        with agent_of(self) as agent:
            agent.resend(parsed_args.name, parsed_args.reason, operator())


class Discard(_Decision):
    """Discard a quarantined write: it is never sent."""

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Record the decision."""
        with agent_of(self) as agent:
            agent.discard(parsed_args.name, parsed_args.reason, operator())


class Export(PlainErrors):
    """Print all quarantined writes with their content, one JSON object on each line.

    Over RPC, this needs [agent] serve_journal = content. With --offline, it always works.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the directory of large bodies."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--bodies",
            metavar="DIRECTORY",
            help="Save each body that is too large for a line to a file SERVICE-POSITION in this "
            "directory (default: leave it out).",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Write to standard output."""
        with agent_of(self) as agent:
            for facts in agent.writes(QUARANTINED, content=True):
                large = facts.get("length", 0) > 0 and "body" not in facts
                if parsed_args.bodies is not None and large:
                    path = Path(parsed_args.bodies) / facts["write"].replace("/", "-")
                    try:
                        _save_body(agent, facts["write"], path)
                        facts["body_file"] = str(path)
                    except ComponentError as exc:  # the other writes are still exported
                        facts["unreadable"] = str(exc)
                self.app.stdout.write(json.dumps(facts) + "\n")


def _check_service(agent: Agent, name: str) -> None:
    """Tell a service without such writes from a misspelt name."""
    known = [service["name"] for service in agent.services()]
    if name not in known:
        names = ", ".join(known) or "none"
        raise ComponentError(f"the agent has no service {name}; its services: {names}")


def _save_body(agent: Agent, name: str, path: Path) -> None:
    """Save to a new file for the caller alone; no incomplete file remains."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as exc:
        raise ComponentError(f"the body cannot be saved to {path}: {exc.strerror}") from exc
    try:
        with os.fdopen(fd, "wb") as file:
            file.writelines(agent.body(name))
    except OSError as exc:
        path.unlink()
        raise ComponentError(f"the body cannot be saved to {path}: {exc.strerror}") from exc
    except ComponentError:
        path.unlink()
        raise

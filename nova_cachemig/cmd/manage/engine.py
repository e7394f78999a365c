"""``engine status|stop``: HAProxy and Varnish on this node, which run on without the agent."""

from __future__ import annotations

import argparse
import sys
from typing import Any, Final

from cliff.lister import Lister

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage import arguments
from nova_cachemig.cmd.manage.base import PlainErrors, files_of

_FACTS: Final = ("pid", "version", "connections", "in_handover")
_COLUMNS: Final = ("name", "state", *_FACTS)
_NOT_RUNNING: Final = 3
"""The exit code of ``systemctl status`` for a unit that does not run."""


class Status(PlainErrors, Lister):
    """Show HAProxy and Varnish on this node: whether they run, and the load of HAProxy.

    Asks the engines, not the agent: run it on the cache node, as the agent's account or as root.
    The exit code is 0 if both run, and 3 if one does not run.
    """

    _all_run = True

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        found = files_of(self).engines()
        self._all_run = all(engine.pid is not None for engine in found)
        return _COLUMNS, [
            (
                engine.name,
                "not running" if engine.pid is None else "running",
                *(_cell(getattr(engine, name)) for name in _FACTS),
            )
            for engine in found
        ]

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Print the table; the exit code."""
        return super().run(parsed_args) or (0 if self._all_run else _NOT_RUNNING)


class Stop(PlainErrors):
    """Stop HAProxy and Varnish on this node, for instance to take the node out of service.

    They keep running when the agent stops. Stop the agent first: it would start them again. HAProxy
    accepts no new connections and lets requests in flight finish. Users cannot reach the services
    on this node's front addresses until an agent starts.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the confirmation and the patience."""
        parser = super().get_parser(prog_name)
        parser.add_argument("--yes", action="store_true", help="Do not ask for confirmation.")
        parser.add_argument(
            "--patience",
            metavar="SECONDS",
            type=arguments.number(float, 0, 86400),
            help="Close connections whose requests take longer than this (default: [engine] "
            "hold_timeout + connect_patience).",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Say what the stop means for users, ask, stop."""
        files = files_of(self)
        engines = files.engines()
        if all(engine.pid is None for engine in engines):
            self.app.stdout.write("neither HAProxy nor Varnish runs\n")
            return
        for line in _consequences(engines, files.waiting_writes()):
            self.app.stdout.write(f"{line}\n")
        if not parsed_args.yes and not _confirmed():
            raise ComponentError("nothing was stopped: confirm with 'yes', or use --yes")
        stopped = files.stop_engines(parsed_args.patience)
        self.app.stdout.write(f"stopped: {', '.join(stopped)}\n")


def _consequences(engines: list[Any], waiting: int) -> list[str]:
    haproxy = engines[0]
    lines = []
    if haproxy.connections is not None:
        lines.append(f"clients connected now: {haproxy.connections}")
    if haproxy.in_handover:
        lines.append(
            f"in a handover now: {', '.join(haproxy.in_handover)}. Requests that are held get no "
            "response if the guest stays silent"
        )
    if waiting:
        lines.append(
            f"writes in the journal that the guests have not received: {waiting}. They stay on "
            "disk, and an agent on this node sends them when it starts"
        )
    lines.append("afterwards nothing listens on this node's front addresses, until an agent starts")
    return lines


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        return False
    return input("Stop HAProxy and Varnish? Type yes: ").strip().lower() == "yes"


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return ", ".join(value)
    return "" if value is None else value

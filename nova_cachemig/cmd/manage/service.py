"""``service add|list|show|remove``: which front address stands before which instance."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne
from oslo_config import cfg

from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import files, schema
from nova_cachemig.cmd.manage.base import conf_of
from nova_cachemig.model.service import WriteMode


def _directory(conf: cfg.ConfigOpts) -> Path:
    return Path(conf.agent.services_dir)


def _stop(exc: ComponentError) -> SystemExit:
    errors = exc.errors if isinstance(exc, files.ServicesError) else [str(exc)]
    return SystemExit("\n".join(f"nova-cachemig-manage: {error}" for error in errors))


class Add(Command):
    """Put a front address before an instance. The agent takes it within reload_interval."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the fields of a service."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", help="a-z, 0-9 and hyphens; unique")
        parser.add_argument("--instance", required=True, metavar="UUID", help="in Nova")
        parser.add_argument("--port", required=True, type=int, help="on which the guest listens")
        parser.add_argument(
            "--listen", required=True, metavar="ADDRESS:PORT", help="the front address"
        )
        parser.add_argument(
            "--host",
            action="append",
            default=[],
            metavar="NAME",
            help="host name that is told apart on the front address; may be repeated",
        )
        parser.add_argument("--network", help="whose fixed address of the instance is meant")
        parser.add_argument(
            "--writes",
            choices=[w.value for w in WriteMode],
            default=WriteMode.HOLD.value,
            help="hold: the client waits for the guest's answer; accept: it gets 202",
        )
        parser.add_argument(
            "--honours-keys",
            action="store_true",
            help="the application honours Idempotency-Key",
        )
        parser.add_argument("--client-cookie", metavar="NAME", help="cookie that names a client")
        parser.add_argument(
            "--follow-links",
            action=argparse.BooleanOptionalAction,
            help="fetch pages to which known pages link before a migration, or not; otherwise as "
            "[warm] discover_links says",
        )
        parser.add_argument(
            "--no-check", action="store_true", help="do not ask Nova whether the instance exists"
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Validate everything, then write one file."""
        args = parsed_args
        entry: dict[str, Any] = {
            "name": args.name,
            "instance": args.instance,
            "port": args.port,
            "listen": args.listen,
            "hosts": args.host,
            "writes": args.writes,
            "honours_keys": args.honours_keys,
        }
        entry |= {"network": args.network} if args.network else {}
        entry |= {"client_cookie": args.client_cookie} if args.client_cookie else {}
        entry |= {"follow_links": args.follow_links} if args.follow_links is not None else {}
        services, errors = schema.parse({"services": [entry]}, "service add")
        try:
            if errors:
                raise files.ServicesError(errors)
            if not args.no_check:
                instance = asyncio.run(NovaApi(conf_of(self)).instance(services[0].instance))
                instance.address(services[0].network)
            path = files.add(_directory(conf_of(self)), services[0])
        except ComponentError as exc:
            raise _stop(exc) from exc
        self.app.stdout.write(f"{path}\n")


class List(Lister):
    """All services as they stand in the files."""

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        try:
            services = files.read(_directory(conf_of(self)))
        except ComponentError as exc:
            raise _stop(exc) from exc
        entries = [schema.to_entry(service) for service in services]
        columns = ("name", "listen", "hosts", "instance", "port", "writes")
        return columns, [
            tuple(
                ", ".join(value) if isinstance(value := entry.get(c, ""), list) else value
                for c in columns
            )
            for entry in entries
        ]


class Show(ShowOne):
    """One service."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        try:
            services = {s.name: s for s in files.read(_directory(conf_of(self)))}
        except ComponentError as exc:
            raise _stop(exc) from exc
        if parsed_args.name not in services:
            known = ", ".join(sorted(services)) or "none"
            raise SystemExit(f"No service is named {parsed_args.name!r}; there are: {known}")
        entry = schema.to_entry(services[parsed_args.name])
        return tuple(entry), tuple(entry.values())


class Remove(Command):
    """Take a service away; the front address then knows it no more."""

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Rewrite or delete the file in which it stands."""
        try:
            path = files.remove(_directory(conf_of(self)), parsed_args.name)
        except ComponentError as exc:
            raise _stop(exc) from exc
        self.app.stdout.write(f"{path}\n")

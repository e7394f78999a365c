"""``service add|list|show|remove``: the front address of each protected service."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.columns import FormattableColumn
from cliff.command import Command
from cliff.lister import Lister
from cliff.show import ShowOne
from oslo_config import cfg

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage import arguments
from nova_cachemig.cmd.manage.base import (
    PlainErrors,
    agent_of,
    conf_of,
    files_of,
    is_offline,
    online_agent,
)
from nova_cachemig.model.reach import Attempt, Reach, address_and_port, problem, remedy
from nova_cachemig.model.service import SendProxy, Target, WriteMode
from nova_cachemig.report.effects import effects_text
from nova_cachemig.report.handover import utc

_OF_FILE: tuple[str, ...] = ("name", "listen", "hosts", "instance", "port", "writes")
_OF_AGENT = ("address", "reached", "phase", "error")


class NotReloadedError(ComponentError):
    """The file is written, but the agent does not serve it; one sentence for each reason."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("; ".join(errors))
        self.errors = errors


class Add(PlainErrors):
    """Protect one HTTP service of an instance: give it a front address on this node.

    Asks Nova whether the instance exists, with the account in [nova], and tries to connect to the
    guest; see --no-check. Writes a file in [agent] services_dir on this node, prints its path, and
    lets the agent read the directory again. With --offline, it does not notify the agent.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the fields of a service."""
        parser = super().get_parser(prog_name)
        add = parser.add_argument
        add("name", help="name of the service: a-z, 0-9 and hyphens; unique on this node")
        add("--instance", required=True, metavar="UUID", help="Instance of Nova that serves it.")
        add(
            "--port",
            required=True,
            type=int,
            metavar="PORT",
            help="TCP port on which the guest listens, 1 to 65535.",
        )
        add(
            "--listen",
            required=True,
            metavar="ADDRESS:PORT",
            help="Front address on this node, for instance 203.0.113.10:80 or [2001:db8::1]:80.",
        )
        add(
            "--host",
            action="append",
            default=[],
            metavar="NAME",
            help="Host name (Host header) of this service, where several services share --listen. "
            "Repeat the option for several names (default: the service owns --listen alone).",
        )
        add(
            "--network",
            metavar="NAME",
            help="Reach the guest at its address on this network of Nova (default: the first "
            "network by name on which it has a fixed address).",
        )
        way = parser.add_mutually_exclusive_group()
        way.add_argument(
            "--address",
            metavar="ADDRESS",
            help="Reach the guest at this IP address, for instance one to which a router forwards "
            "(default: the instance's fixed address in Nova).",
        )
        way.add_argument(
            "--floating",
            action="store_true",
            help="Reach the guest at its floating address in Nova; it must have exactly one on "
            "--network (default: its fixed address).",
        )
        add(
            "--writes",
            choices=[mode.value for mode in WriteMode],
            default=WriteMode.HOLD.value,
            help="Response to a write while the guest is away. With hold, the client waits for the "
            "guest's own response. With accept, it gets 202 and a status URL once the write is on "
            "disk (default: hold).",
        )
        add(
            "--honours-keys",
            action="store_true",
            help="The application executes a request with a known Idempotency-Key header only "
            "once, so the agent may send a write again after a failure (default: it does not).",
        )
        add(
            "--client-cookie",
            metavar="NAME",
            help="Cookie that identifies a client, so that its reads wait for its own writes "
            "(default: the client's IP address identifies it).",
        )
        add(
            "--forwarded-for",
            action=argparse.BooleanOptionalAction,
            help="Append the client's address to the X-Forwarded-For of each request (default: "
            "[engine] forwarded_for).",
        )
        add(
            "--trusted-proxy",
            action="append",
            default=[],
            metavar="NETWORK",
            help="Network of a proxy in front of this node, for instance 10.0.0.0/24. From there, "
            "X-Forwarded-For or Forwarded names the client. Repeat the option for several "
            "(default: [engine] trusted_proxies).",
        )
        add(
            "--accept-proxy",
            action="store_true",
            help="Connections from --trusted-proxy begin with a header of the PROXY protocol, "
            "which names the client (default: they do not).",
        )
        add(
            "--send-proxy",
            choices=[version.value for version in SendProxy],
            help="Begin each connection to the guest with a header of this version of the PROXY "
            "protocol (default: none).",
        )
        add(
            "--certificate",
            action="append",
            default=[],
            metavar="PATH",
            help="Use TLS on the front address, with this certificate: a PEM file with chain and "
            "key, or a directory. Repeat the option for several (default: no TLS).",
        )
        add(
            "--limit",
            action="append",
            default=[],
            type=arguments.limit,
            metavar="NAME=NUMBER",
            help="Limit of the service on this node: connections, requests (at the "
            "same time), held or rate (requests per second), for instance rate=200. 0: no limit. "
            "Repeat the option for several (default: [engine] service_connections and so on).",
        )
        add(
            "--follow-links",
            action=argparse.BooleanOptionalAction,
            help="Before a migration, also fetch pages to which known pages link (default: "
            "[warm] discover_links).",
        )
        add(
            "--preset",
            action="append",
            default=[],
            metavar="NAME",
            help="Policy for a common application, for instance wordpress; a wrong name prints "
            "all. Repeat the option for several. 'service policy' shows the rules (default: only "
            "the rules that suit every site).",
        )
        add(
            "--no-check",
            action="store_true",
            help="Do not ask Nova whether the instance exists and has an address, and do not try "
            "to connect to the guest. The command then needs no access to Nova's API. The agent "
            "still asks Nova for the address, unless --address gives it, and tries to connect.",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Validate everything, write one file, then let the agent read it."""
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
        entry |= {"address": args.address} if args.address is not None else {}
        entry |= {"floating": True} if args.floating else {}
        entry |= {"client_cookie": args.client_cookie} if args.client_cookie else {}
        if args.forwarded_for is not None:
            entry["forwarded_for"] = args.forwarded_for
        entry |= {"trusted_proxies": args.trusted_proxy} if args.trusted_proxy else {}
        entry |= {"accept_proxy": True} if args.accept_proxy else {}
        entry |= {"send_proxy": args.send_proxy} if args.send_proxy else {}
        entry |= {"tls": {"certificates": args.certificate}} if args.certificate else {}
        entry |= {"limits": dict(args.limit)} if args.limit else {}
        entry |= {"follow_links": args.follow_links} if args.follow_links is not None else {}
        entry |= {"policy": {"presets": args.preset}} if args.preset else {}
        _check_own_node(self)
        added = files_of(self).add_service(entry, check=not args.no_check)
        self.app.stdout.write(f"{added.path}\n")
        if added.guest is not None:
            self.app.stderr.write(f"nova-cachemig-manage: {_sentence(*added.guest)}\n")
        _reload(self)


class List(PlainErrors, Lister):
    """List the services, with the phase of each and its error, if any.

    The phase is "idle" outside a handover. A row without a name is an error in a service file: no
    change in the files takes effect until it is corrected. With --offline: the service files,
    without phases.
    """

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        if is_offline(self):
            columns, entries = _OF_FILE, files_of(self).services()
        else:
            columns = _OF_FILE + _OF_AGENT
            with online_agent(self) as agent:
                entries = agent.services()
                errors = agent.ping().get("service_errors", ())  # an older agent has none
            entries += [{"error": error} for error in errors]
        return columns, [tuple(_cell(entry.get(name)) for name in columns) for entry in entries]


class Show(PlainErrors, ShowOne):
    """Show one service with all its settings, its phase, and its error, if any.

    "last handover" is what the cache and each rule of the policy did for its reads in the last
    handover that has ended, and why the cache had no response. With --offline: as it is in the
    service files, without phase, error and handover.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", help="name of the service, as 'service list' shows it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return names and values."""
        with agent_of(self) as agent:
            services = {entry["name"]: entry for entry in agent.services()}
            if parsed_args.name not in services:
                known = ", ".join(sorted(services)) or "none"
                raise ComponentError(
                    f"no service is named {parsed_args.name}; the services: {known}"
                )
            entry = dict(services[parsed_args.name])
            last = None
            if not is_offline(self) and "instance" in entry:
                last = agent.handover(entry["instance"], None)
        if "limits" in entry:
            entry["limits"] = LimitsColumn(entry["limits"])
        if "policy" in entry:
            entry["policy"] = PolicyColumn(entry["policy"])
        if last is not None and parsed_args.name in last.effects:
            began = {"request": last.id.request, "started": utc(last.started)}
            entry["last_handover"] = EffectsColumn(began | last.effects[parsed_args.name])
        return tuple(entry), tuple(entry.values())


class LimitsColumn(FormattableColumn[dict[str, int]]):
    """Limits: a mapping for programs, one line for people."""

    def human_readable(self) -> str:
        """Each limit, or none."""
        return ", ".join(f"{name}: {number or 'none'}" for name, number in self._value.items())


class PolicyColumn(FormattableColumn[dict[str, Any]]):
    """A policy: a mapping for programs, one line for people."""

    def human_readable(self) -> str:
        """Presets, consents, and the number of own rules."""
        policy = self._value
        parts = [
            f"{name}: {', '.join(policy[name])}"
            for name in ("presets", "consent")
            if name in policy
        ]
        parts += ["without the default rules"] if policy.get("defaults") is False else []
        parts += [f"{len(policy['rules'])} own rules"] if "rules" in policy else []
        return "; ".join(parts)


class EffectsColumn(FormattableColumn[dict[str, Any]]):
    """The effects of a policy in a handover: a mapping for programs, lines for people."""

    def human_readable(self) -> str:
        """One line for each kind of count."""
        return effects_text(self._value)


class Remove(PlainErrors):
    """Remove a service: the edge no longer accepts requests for it on its front address.

    Removes the service from its file in [agent] services_dir on this node, prints the path of the
    file, and lets the agent read the directory again. Writes in the journal stay there.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", help="name of the service, as 'service list' shows it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Rewrite or delete the file that contains it, then let the agent read the directory."""
        _check_own_node(self)
        path = files_of(self).remove_service(parsed_args.name)
        self.app.stdout.write(f"{path}\n")
        _reload(self)


def _sentence(target: Target, attempt: Attempt) -> str:
    where = address_and_port(target)
    if attempt.reach is Reach.REACHABLE:
        return f"the guest is reachable at {where}, from {attempt.source} on this node"
    return (
        f"warning: the guest is not reachable at {where} from this node: {problem(attempt)}. "
        f"Remedy: {remedy(target, attempt)}"
    )


def _check_own_node(command: Command) -> None:
    """Refuse ``--agent`` with another node: the command changes files on this one."""
    host, own = command.app.options.agent, conf_of(command).agent.host
    if host not in {None, own}:
        raise ComponentError(
            f"this command changes files on this node, {own}, and cannot change those of {host}: "
            "run it there, without --agent"
        )


def _reload(command: Command) -> None:
    """Let the agent read the files now. Raises ComponentError with its errors."""
    if is_offline(command):
        return
    try:
        with online_agent(command) as agent:
            errors = agent.reload()
    except (ComponentError, cfg.Error) as exc:
        raise ComponentError(
            f"the file is written, but the agent has not applied it: {exc}"
        ) from exc
    if errors:
        raise NotReloadedError(errors)


def _cell(value: Any) -> Any:
    if isinstance(value, list):
        return ", ".join(value)
    return "" if value is None else value

"""``service policy`` and ``policy learn``: the rules of a service, and a proposal."""

from __future__ import annotations

import argparse
from typing import Any

from cliff.lister import Lister

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd.manage.base import PlainErrors, agent_of, is_offline, online_agent
from nova_cachemig.report.proposal import proposal_text

_COLUMNS = ("rule", "origin", "paths", "says", "needs consent")


class Show(PlainErrors, Lister):
    """List the rules of a service's policy, in the order in which they apply.

    First come the rules of the service itself, then those of its presets, then the default. For
    each yes-or-no field, the first rule with it decides; lists add up. A part of a rule that "needs
    consent" has no effect until the policy of the service names it under consent.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", help="name of the service, as 'service list' shows it")
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> tuple[Any, Any]:
        """Return columns and rows."""
        from nova_cachemig.agent.offline import policy_rules  # most commands save this time

        with agent_of(self) as agent:
            services = {entry["name"]: entry for entry in agent.services()}
        if parsed_args.name not in services:
            known = ", ".join(sorted(services)) or "none"
            raise ComponentError(f"no service is named {parsed_args.name}; the services: {known}")
        rules = policy_rules(services[parsed_args.name].get("policy", {}))
        return _COLUMNS, [_row(number, rule) for number, rule in enumerate(rules, start=1)]


class Learn(PlainErrors):
    """Propose a policy for a service from a sample of its requests, and print it as YAML.

    Nothing is changed: compare the proposal with the application, and copy it to the service's
    file. For each preset and rule, a comment says how many reads of the sample it would let users
    share. The parts that need the consent of the service's owner are in comments; see --consent.
    """

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return cliff's parser with the name."""
        parser = super().get_parser(prog_name)
        parser.add_argument("name", help="name of the service, as 'service list' shows it")
        parser.add_argument(
            "--consent",
            action="store_true",
            help="The owner of the service consents to all that is proposed: print these parts as "
            "the rest (default: they are in comments).",
        )
        return parser

    def take_action(self, parsed_args: argparse.Namespace) -> None:
        """Ask the agent, and print the proposal."""
        if is_offline(self):
            raise ComponentError("only a running agent knows the traffic: leave out --offline")
        with online_agent(self) as agent:
            found = agent.propose_policy(parsed_args.name)
        self.app.stdout.write(proposal_text(parsed_args.name, found, consent=parsed_args.consent))


def _row(number: int, rule: dict[str, Any]) -> tuple[Any, ...]:
    fields = {k: v for k, v in rule.items() if k not in {"origin", "paths", "needs"}}
    says = "; ".join(
        f"{name}: {', '.join(value) if isinstance(value, list) else str(value).lower()}"
        for name, value in fields.items()
    )
    paths = ", ".join(rule.get("paths", ("all",)))
    return number, rule["origin"], paths, says, ", ".join(rule["needs"])

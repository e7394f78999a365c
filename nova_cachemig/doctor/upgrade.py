"""The checks of ``nova-cachemig-status upgrade check``, which runs on any host."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import amqp
from oslo_config import cfg
from oslo_upgradecheck import upgradecheck
from oslo_upgradecheck.upgradecheck import Code, Result

from nova_cachemig.doctor import broker, context, nova_conf
from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts.options import stale
from nova_cachemig.rpc import connection as link

FORMER_EXCHANGE: Final = "nova-cachemig"
"""The exchange of versions before the fixed flags."""
_OF_AGENT: Final = frozenset({"agent", "engine", "journal", "probe", "warm"})
"""Groups that only the agent's file has."""
_TOPICS: Final = {
    # the option that holds a topic → its default
    ("agent", "topic"): "nova-cachemig-agent",
    ("forecaster", "topic"): "nova-cachemig-forecaster",
    ("telemetry", "topic"): "nova-cachemig-samples",
    ("forecaster", "scheduler_topic"): "nova-cachemig-schedulers",
}
_CODES: Final = {
    Status.OK: Code.SUCCESS,
    Status.SKIPPED: Code.SUCCESS,
    Status.WARNING: Code.WARNING,
    Status.FAILED: Code.FAILURE,
}

Sections = Mapping[str, Mapping[str, Sequence[str]]]
"""Group → option → values, as they are in a file."""


class Checks(upgradecheck.UpgradeCommands):
    """Finds what the upgrade notes ask the operator to change."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        """``conf`` holds the names of the files once the command line is parsed."""
        self._conf = conf

    def _options(self) -> Result:
        found, removed = [], False
        for path in self._conf.config_file:
            for option in stale(sections(path)):
                found.append(f"{option} in {path}: {option.advice}")
                removed |= option.removed
        if not found:
            return Result(Code.SUCCESS)
        return Result(Code.FAILURE if removed else Code.WARNING, "; ".join(found))

    def _exchange(self) -> Result:
        def check(connection: amqp.Connection, where: str) -> Iterator[str]:
            if broker.has_exchange(connection, FORMER_EXCHANGE):
                yield (
                    f"the exchange {FORMER_EXCHANGE} of an earlier version exists on {where}: once "
                    "all agents and computes are upgraded, delete it and the queues bound to it"
                )

        return self._on_each_bus(check, Code.WARNING)

    def _queues(self) -> Result:
        topics = self._topics()

        def check(connection: amqp.Connection, where: str) -> Iterator[str]:
            for name in broker.conflicts(connection, topics):
                yield (
                    f"the {name} on {where} has the flags of an earlier version, and this version "
                    "cannot use it: stop the earlier version, then delete it in RabbitMQ"
                )

        return self._on_each_bus(check, Code.FAILURE)

    def _drivers(self) -> Result:
        files = [path for path in self._conf.config_file if _of_nova(sections(path))]
        if not files:
            return Result(Code.SUCCESS, "No nova.conf with the notification driver is given")
        try:
            verdict = nova_conf.driver(context.read_nova(files))
        except cfg.Error as exc:
            return Result(Code.FAILURE, str(exc))
        if verdict.status is Status.OK:
            return Result(Code.SUCCESS)
        return Result(_CODES[verdict.status], f"{verdict.what}. {verdict.remedy}")

    def _journal(self) -> Result:
        files = [path for path in self._conf.config_file if _OF_AGENT & set(sections(path))]
        if not files:
            return Result(Code.SUCCESS, "No file of an agent is given")
        try:
            from nova_cachemig.doctor import journal
        except ImportError as exc:
            return Result(Code.SUCCESS, f"Not checked: {exc}. Install nova-cachemig[agent]")
        try:
            verdict = journal.schema(context.read_agent(files))
        except cfg.Error as exc:
            return Result(Code.FAILURE, str(exc))
        unchecked = "Not checked, " if verdict.status is Status.SKIPPED else ""
        remedy = f". {verdict.remedy}" if verdict.remedy else ""
        return Result(_CODES[verdict.status], f"{unchecked}{verdict.what}{remedy}")

    def _topics(self) -> list[str]:
        found = dict(_TOPICS)
        for path in self._conf.config_file:
            groups = sections(path)
            for group, name in _TOPICS:
                if values := groups.get(group, {}).get(name):
                    found[group, name] = values[-1]
        return list(dict.fromkeys(found.values()))

    def _on_each_bus(
        self, check: Callable[[amqp.Connection, str], Iterable[str]], bad: Code
    ) -> Result:
        """Return SUCCESS without findings, ``bad`` with some, WARNING if a bus is unreachable."""
        found: list[str] = []
        unknown: list[str] = []
        seen: set[tuple[Any, ...]] = set()
        for conf, url in self._urls():
            try:
                settings = link.settings(conf, url)
            except ValueError as exc:
                unknown.append(f"a transport_url is not valid: {exc}")
                continue
            if settings is None or (settings.servers, settings.vhost) in seen:
                continue
            seen.add((settings.servers, settings.vhost))
            server = settings.servers[0]
            where = f"{server.name}, virtual host {settings.vhost}"
            try:
                with broker.connected(settings, server) as connection:
                    found += check(connection, where)
            except (OSError, amqp.AMQPError) as exc:
                unknown.append(f"RabbitMQ at {where} cannot be checked: {exc}")
        code = bad if found else Code.WARNING if unknown else Code.SUCCESS
        details = [*found, *unknown] or ([] if seen else ["No file names a RabbitMQ"])
        return Result(code, "; ".join(details) or None)

    def _urls(self) -> Iterator[tuple[cfg.ConfigOpts, str]]:
        """Yield each transport URL, with the file that has it: TLS may differ."""
        for path in self._conf.config_file:
            groups = sections(path)
            conf = cfg.ConfigOpts()
            conf([], default_config_files=[path], default_config_dirs=[])
            for group in ("cachemig", "cachemig_scheduler", "forecaster", "DEFAULT"):
                for url in groups.get(group, {}).get("transport_url", []):
                    yield conf, url
            for urls in groups.get("telemetry", {}).get("transport_urls", []):
                for url in filter(None, map(str.strip, urls.split(","))):
                    yield conf, url

    _upgrade_checks = (
        ("Options of earlier versions", _options),
        ("Exchange of earlier versions", _exchange),
        ("Flags of exchanges and queues", _queues),
        ("Drivers of notifications", _drivers),
        ("Revision of the journal", _journal),
    )


def _of_nova(found: Sections) -> bool:
    return "cachemig" in found.get("oslo_messaging_notifications", {}).get("driver", [])


def sections(path: str) -> Sections:
    """Return the groups of a file as it is. Raises cfg.ConfigFileParseError or OSError."""
    found: dict[str, dict[str, list[str]]] = {}
    cfg.ConfigParser(path, found).parse()
    return found

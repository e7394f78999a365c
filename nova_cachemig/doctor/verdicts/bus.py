"""Verdicts on the message bus."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nova_cachemig.doctor.verdict import Status, Verdict, failed, ok, warning

REPLIES: Final = "nova-cachemig-reply."
"""Beginning of the names of queues for responses to calls."""


class Fault(enum.Enum):
    """The reason why RabbitMQ cannot be used, as the client sees it."""

    NAME = enum.auto()
    REFUSED = enum.auto()
    NO_ROUTE = enum.auto()
    TIMEOUT = enum.auto()
    TLS = enum.auto()
    CERTIFICATE = enum.auto()
    FILE = enum.auto()
    CLOSED = enum.auto()
    PASSWORD = enum.auto()
    NO_VHOST = enum.auto()
    NOT_ON_VHOST = enum.auto()
    OTHER = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to connect to one RabbitMQ node; ``fault`` None: it succeeded."""

    server: str  # HOST:PORT
    fault: Fault | None = None
    detail: str = ""


_FAULTS: Final = {
    Fault.NAME: (
        "the name cannot be resolved",
        "Correct the host in {option}, or the DNS or /etc/hosts of this host",
    ),
    Fault.REFUSED: (
        "the connection is refused",
        "Start RabbitMQ, or correct host and port in {option}. TLS usually has port 5671",
    ),
    Fault.NO_ROUTE: (
        "there is no route to it",
        "Give this host a route to RabbitMQ, and check its firewall",
    ),
    Fault.TIMEOUT: (
        "it does not respond",
        "Check that RabbitMQ runs, and that no firewall drops packets to it",
    ),
    Fault.TLS: (
        "the TLS handshake failed",
        "Check that this port of RabbitMQ speaks TLS, and ssl_version, ssl_cert_file and "
        "ssl_key_file in [oslo_messaging_rabbit]",
    ),
    Fault.CERTIFICATE: (
        "its certificate is not trusted",
        "Set ssl_ca_file in [oslo_messaging_rabbit] to the CA of RabbitMQ, and use a name in "
        "{option} that the certificate contains",
    ),
    Fault.FILE: (
        "a file that TLS needs cannot be read",
        "Correct ssl_ca_file, ssl_cert_file and ssl_key_file in [oslo_messaging_rabbit], and let "
        "the agent's account read these files",
    ),
    Fault.CLOSED: (
        "it closes the connection immediately",
        "If this port of RabbitMQ speaks TLS, set ssl = true in [oslo_messaging_rabbit]",
    ),
    Fault.PASSWORD: (
        "it refuses user {user!r} or the password",
        "Correct user and password in {option}, or set the password with: "
        "rabbitmqctl change_password {user} …",
    ),
    Fault.NO_VHOST: (
        "the virtual host {vhost!r} does not exist",
        "Correct the virtual host in {option}, or create it with: rabbitmqctl add_vhost {vhost}",
    ),
    Fault.NOT_ON_VHOST: (
        "user {user!r} may not use the virtual host {vhost!r}",
        "Correct the virtual host in {option}, or grant access with: rabbitmqctl "
        "set_permissions -p {vhost} {user} …",
    ),
    Fault.OTHER: (
        "the connection failed",
        "Check {option}, and the log of RabbitMQ",
    ),
}


def connection(attempts: Sequence[Attempt], *, user: str, vhost: str, option: str) -> Verdict:
    """The verdict on all nodes of one URL; ``option`` is the option that holds it."""
    bad = [attempt for attempt in attempts if attempt.fault is not None]
    good = [attempt.server for attempt in attempts if attempt.fault is None]
    if not bad:
        return ok(f"RabbitMQ at {', '.join(good)}, virtual host {vhost!r}, accepts user {user!r}")
    named = {"user": user, "vhost": vhost, "option": option}
    whats, remedies = [], []
    for attempt in bad:
        assert attempt.fault is not None
        what, remedy = _FAULTS[attempt.fault]
        detail = f" ({attempt.detail})" if attempt.detail else ""
        whats.append(f"{attempt.server}: {what.format(**named)}{detail}")
        remedies.append(remedy.format(**named))
    text = "RabbitMQ at " + "; ".join(whats)
    status = Status.WARNING if good else Status.FAILED
    if good:
        text += f". In use: {', '.join(good)}"
    return Verdict(status, text, ". ".join(dict.fromkeys(remedies)))


def rights(refused: Mapping[str, str], *, user: str, vhost: str, calls: bool) -> Verdict:
    """``refused``: each right that is missing, and on which name.

    ``calls``: whether the programs of this user make calls, and so declare queues for responses.
    The agent makes none, so that only ``nova-cachemig-manage`` lacks them.
    """
    if not refused:
        return ok(f"User {user!r} has the rights configure, write and read that it needs")
    lacks = ", ".join(f"{right} on {name}" for right, name in refused.items())
    what = f"User {user!r} of RabbitMQ lacks the right: {lacks}"
    remedy = (
        f"rabbitmqctl set_permissions -p {vhost} {user} '^nova-cachemig.*$' "
        "'^(nova-cachemig.*|amq\\.default)$' '^nova-cachemig.*$'"
    )
    if not calls and all(name.startswith(REPLIES) for name in refused.values()):
        return warning(f"{what}. nova-cachemig-manage receives no responses", remedy)
    return failed(what, remedy)


def blocked() -> Verdict:
    """RabbitMQ took a message and sent no confirmation."""
    return failed(
        "RabbitMQ accepts connections but no messages: it has a memory or disk alarm, or is too "
        "busy",
        "Look at the alarms with: rabbitmq-diagnostics alarms. Find the queue that grows with: "
        "rabbitmqctl list_queues -p VHOST name messages",
    )


def flags(conflicts: Sequence[str]) -> Verdict:
    """``conflicts``: exchanges and queues that exist with other flags."""
    if not conflicts:
        return ok("The exchange and the queues have the flags of this version")
    return failed(
        f"These exist in RabbitMQ with other flags: {', '.join(conflicts)}",
        "Run the same version of nova-cachemig on every host. Then stop its services, delete "
        "these exchanges and queues (rabbitmqctl delete_queue NAME; RabbitMQ deletes an exchange "
        "with its last queue), and start the services again",
    )


_ONE_AGENT: Final = "Stop all agents except one, or give each its own topic and its own computes"


def agent(
    topic: str, consumers: int | None, ping: Mapping[str, Any] | None, host: str | None = None
) -> Verdict:
    """``consumers`` of the topic's queue, None without a queue; ``ping``: the response, if any.

    ``host``: [agent] host on a cache node, whose own agent must be the one that listens.
    """
    if not consumers:
        return failed(
            f"No agent listens on topic {topic}",
            "Start nova-cachemig-agent on the cache node. If it runs, its log has a line that "
            "begins with 'cannot listen'. The agent and nova-compute need the same RabbitMQ, "
            "virtual host and topic ([agent] topic, [cachemig] topic)",
        )
    if consumers > 1:
        return failed(
            f"{consumers} agents listen on topic {topic}: each gets only a part of the messages "
            "of one migration",
            _ONE_AGENT,
        )
    if ping is None:
        return failed(
            f"An agent listens on topic {topic} but does not respond",
            "Look at the log of nova-cachemig-agent, and restart it",
        )
    name, version = ping.get("host", "?"), ping.get("version", "?")
    if host is not None and name != host:
        return failed(
            f"Agent {name} listens on topic {topic}, so the agent of this node, {host}, does not",
            _ONE_AGENT,
        )
    if not ping.get("listening", True):
        return warning(
            f"Agent {name} responds, but its own test messages do not arrive",
            "Look for 'cannot listen' in the log of nova-cachemig-agent",
        )
    return ok(f"Agent {name}, version {version}, listens on topic {topic}")


def forecaster(topic: str, consumers: int | None) -> Verdict:
    """Placement by forecasts is optional, so a missing forecaster is a warning only."""
    if not consumers:
        return warning(
            f"No forecaster listens on topic {topic}",
            "Start nova-cachemig-forecaster, or ignore this if you do not use placement by "
            "predicted load",
        )
    plural = "forecaster listens" if consumers == 1 else "forecasters listen"
    return ok(f"{consumers} {plural} on topic {topic}")

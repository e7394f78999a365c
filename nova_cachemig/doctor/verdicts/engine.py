"""Verdicts on HAProxy and Varnish, and on the limits of this node."""

from __future__ import annotations

import re
from typing import Final

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning

HAPROXY: Final = (2, 6)
VARNISH: Final = (7, 1)
_VERSION: Final = re.compile(r"(?:HAProxy version |varnish-)(\d+)\.(\d+)(\S*?)(?=[\s)]|$)")
_LUA: Final = re.compile(r"(?:\+LUA\b|USE_LUA=1|Built with Lua version)")
_MANY: Final = 10_000


def program(name: str, output: str, oldest: tuple[int, int]) -> Verdict:
    """``output``: the text in which the program reports its version."""
    found = _VERSION.search(output)
    wanted = f"{name} {oldest[0]}.{oldest[1]} or newer"
    if found is None:
        return warning(
            f"The version of {name} is unknown: {output.strip()[:100]!r}", f"Install {wanted}"
        )
    text = f"{name} {found[1]}.{found[2]}{found[3]}"
    if (int(found[1]), int(found[2])) < oldest:
        return failed(f"{text} is too old", f"Install {wanted}")
    return ok(f"{text} is supported")


def lua(output: str) -> Verdict:
    """``output`` of haproxy -vv."""
    if _LUA.search(output):
        return ok("HAProxy is built with Lua")
    return failed("HAProxy is built without Lua", "Install a HAProxy that is built with USE_LUA=1")


def compiler(found: str | None) -> Verdict:
    """``found``: the path of a C compiler."""
    if found:
        return ok(f"Varnish finds a C compiler: {found}")
    return failed("No C compiler is installed, and Varnish needs one", "Install gcc")


def open_files(clients: int | None, limit: int, error: str) -> Verdict:
    """``clients``: the limit that follows from ``limit`` open files; None with ``error``."""
    remedy = "Raise the limit of open files of the agent, in its unit: LimitNOFILE=65536"
    if clients is None:
        return failed(error, remedy)
    text = f"The limit of {limit} open files allows {clients} clients at the same time"
    return ok(text) if clients >= 1000 else warning(text, remedy)


def ports(text: str, clients: int) -> Verdict:
    """``text`` of /proc/sys/net/ipv4/ip_local_port_range; ``clients`` at the same time."""
    low, high = (int(part) for part in text.split())
    count = high - low + 1
    what = f"{count} local ports for connections to one guest ({low} to {high})"
    if count < min(clients, _MANY):
        return warning(
            what + f", for up to {clients} clients",
            "sysctl -w net.ipv4.ip_local_port_range='10240 65535', and in /etc/sysctl.d",
        )
    return ok(what)


def running(name: str, *, alive: bool, socket: str, error: str, agent: bool) -> Verdict:
    """``error``: why its ``socket`` takes no connection, or empty; ``agent``: whether one runs."""
    if alive and not error:
        return ok(f"{name} runs and accepts connections on {socket}")
    if alive:
        return failed(
            f"{name} runs, but {socket}: {error}",
            "Run this command as root, or restart the agent",
        )
    if agent:
        return failed(
            f"The agent runs, but {name} does not: no user is served",
            f"Look at the agent's log, and at {name}.log in [engine] runtime_dir",
        )
    return warning(f"{name} does not run", "The agent starts it")

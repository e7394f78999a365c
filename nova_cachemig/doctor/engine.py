"""HAProxy and Varnish: versions, limits, and whether they run."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.engine import capacity
from nova_cachemig.agent.engine.process import Process, find_program
from nova_cachemig.agent.engine.render import Paths
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.doctor import process
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, failed
from nova_cachemig.doctor.verdicts import engine as verdicts

_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_TIMEOUT: Final = 2.0
"""Seconds for one program or one socket."""


def checks(context: Context) -> Sequence[Check]:
    """Checks of the group [engine]."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [
        Check("engine.haproxy", lambda: _haproxy(conf)),
        Check("engine.varnish", lambda: _varnish(conf)),
        Check("engine.limits", lambda: _limits(conf)),
        Check("engine.running", lambda: _running(conf)),
    ]


def _haproxy(conf: cfg.ConfigOpts) -> list[Verdict]:
    try:
        output = _output(conf.engine.haproxy, "haproxy", "-vv")
    except ComponentError as exc:
        return [failed(str(exc), "Install HAProxy 2.6 or newer, or correct [engine] haproxy")]
    return [verdicts.program("HAProxy", output, verdicts.HAPROXY), verdicts.lua(output)]


def _varnish(conf: cfg.ConfigOpts) -> list[Verdict]:
    try:
        output = _output(conf.engine.varnishd, "varnishd", "-V")
    except ComponentError as exc:
        return [failed(str(exc), "Install Varnish 7.1 or newer, or correct [engine] varnishd")]
    return [
        verdicts.program("Varnish", output, verdicts.VARNISH),
        verdicts.compiler(shutil.which("gcc") or shutil.which("cc")),
    ]


def _output(program: str, option: str, argument: str) -> str:
    """Return the output. Raises ComponentError."""
    path = find_program(program, option)
    try:
        done = subprocess.run(
            [path, argument],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise ComponentError(f"{path} {argument}: {exc}") from exc
    return done.stdout.decode("utf-8", "replace")


def _limits(conf: cfg.ConfigOpts) -> list[Verdict]:
    agent = process.find(Path(conf.agent.state_dir))
    own = capacity.open_file_limit()
    limit = (agent.open_files or own) if agent else own
    try:
        clients = capacity.for_clients(conf.engine.max_clients, limit).clients
    except ComponentError as exc:
        return [verdicts.open_files(None, limit, str(exc))]
    return [
        verdicts.open_files(clients, limit, ""),
        verdicts.ports(_PORTS.read_text(), clients),
    ]


def _running(conf: cfg.ConfigOpts) -> list[Verdict]:
    paths = Paths(Path(conf.engine.runtime_dir))
    agent = process.find(Path(conf.agent.state_dir)) is not None
    found = []
    for name, program, where in (
        ("HAProxy", "haproxy", paths.socket("admin")),
        ("Varnish", "varnishd", paths.socket("varnish")),
    ):
        alive = Process(program, [], paths.root).adopt()
        error = _connect(where) if alive else ""
        found.append(
            verdicts.running(name, alive=alive, socket=str(where), error=error, agent=agent)
        )
    return found


def _connect(path: Path) -> str:
    """Return the reason why a unix socket takes no connection, or an empty string."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(_TIMEOUT)
        try:
            sock.connect(str(path))
        except OSError as exc:
            return str(exc.strerror or exc)
    return ""

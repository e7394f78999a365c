"""The running engines without an agent, for the command line: their state, and their stop."""

from __future__ import annotations

import dataclasses
import signal
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.engine import names, render
from nova_cachemig.agent.engine.admin import Admin, AdminError, command
from nova_cachemig.agent.engine.maps import EdgeMap
from nova_cachemig.agent.engine.process import Process
from nova_cachemig.agent.engine.writer import MapWriter

NAMES = ("haproxy", "varnishd")


@dataclasses.dataclass(frozen=True, slots=True)
class EngineStatus:
    """One engine. The last three fields are of HAProxy; None if it does not respond."""

    name: str
    pid: int | None  # None: it does not run
    version: str | None = None
    connections: int | None = None  # of clients, now
    in_handover: tuple[str, ...] | None = None  # services that are not in "pass"


def _process(conf: cfg.ConfigOpts, name: str) -> Process:
    process = Process(name, [], Path(conf.engine.runtime_dir))
    process.adopt()
    return process


async def status(conf: cfg.ConfigOpts) -> list[EngineStatus]:
    """Return the status of HAProxy and of Varnish."""
    haproxy, varnishd = (EngineStatus(name, _process(conf, name).pid) for name in NAMES)
    if haproxy.pid is not None:
        haproxy = await _ask(conf, haproxy)
    return [haproxy, varnishd]


async def _ask(conf: cfg.ConfigOpts, haproxy: EngineStatus) -> EngineStatus:
    paths = render.Paths(Path(conf.engine.runtime_dir))
    admin = Admin(paths.socket("admin"), conf.engine.admin_timeout)
    states = EdgeMap(paths.map("state"), MapWriter(admin))
    try:
        info = await admin.run(command("show", "info"))
        stat = await admin.run("show stat edge 1 -1")  # the front end "edge" alone
        await states.load()
    except AdminError:
        return haproxy
    finally:
        await admin.close()
    facts = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    rows = [line.split(",") for line in stat.splitlines() if line.startswith("edge,")]
    return dataclasses.replace(
        haproxy,
        version=facts.get("Version"),
        connections=sum(int(row[4] or 0) for row in rows),
        in_handover=tuple(sorted(names.decode_service(name) for name in states.entries)),
    )


async def stop(conf: cfg.ConfigOpts, patience: float) -> list[str]:
    """Stop HAProxy, then Varnish; return the names of those that ran.

    Requests in flight may finish within ``patience`` seconds. A running agent would start the
    engines again: the caller makes sure that there is none.
    """
    stopped = []
    for name, number, wait in (
        ("haproxy", signal.SIGUSR1, patience),
        ("varnishd", signal.SIGTERM, 5.0),
    ):
        process = _process(conf, name)
        if process.pid is not None:
            await process.terminate(number, wait)
            stopped.append(name)
    return stopped

"""The agent's process, its state directory, and its runtime directory."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.doctor import process
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, failed, ok, skipped, warning
from nova_cachemig.doctor.verdicts import state as verdicts


def checks(context: Context) -> Sequence[Check]:
    """Checks of [agent] state_dir and [engine] runtime_dir."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [
        Check("state.agent", lambda: _agent(conf)),
        Check("state.state_dir", lambda: _state_dir(conf)),
        Check("state.runtime_dir", lambda: [_runtime_dir(conf)]),
    ]


def look_at(path: Path) -> verdicts.Directory:
    """Return the facts about a directory. Raises OSError."""
    status, space = path.stat(), os.statvfs(path)
    mounts = Path("/proc/self/mountinfo").read_text()
    return verdicts.Directory(
        path=str(path),
        mode=stat.S_IMODE(status.st_mode),
        owner=status.st_uid,
        free=space.f_bavail * space.f_frsize,
        file_system=verdicts.file_system(mounts, str(path.resolve())),
    )


def _agent(conf: cfg.ConfigOpts) -> list[Verdict]:
    found = process.find(Path(conf.agent.state_dir))
    if found is None:
        return [
            warning(
                f"No agent runs on this node with [agent] state_dir = {conf.agent.state_dir}",
                "Start nova-cachemig-agent. If it runs in a container, or as another account, run "
                "this command in the same container as root",
            )
        ]
    running = ok(f"The agent runs as process {found.pid}, user id {found.account}")
    return [running, verdicts.capabilities(found.capabilities)]


def _state_dir(conf: cfg.ConfigOpts) -> list[Verdict]:
    path = Path(conf.agent.state_dir)
    agent = process.find(path)
    try:
        found = look_at(path)
    except FileNotFoundError:
        return [
            warning(
                f"{path} does not exist",
                "The agent creates it at its start if it may write to the directory above",
            )
        ]
    except OSError as exc:
        return [failed(f"{path}: {exc.strerror}", "Run this command as root")]
    return verdicts.state_dir(found, agent.account if agent else None, conf.journal.min_free)


def _runtime_dir(conf: cfg.ConfigOpts) -> Verdict:
    path = Path(conf.engine.runtime_dir)
    agent = process.find(Path(conf.agent.state_dir))
    try:
        found = look_at(path)
    except FileNotFoundError:
        if agent is None:
            return skipped(f"{path} does not exist: the agent creates it")
        return failed(f"The agent runs, but {path} does not exist", "Restart the agent")
    except OSError as exc:
        return failed(f"{path}: {exc.strerror}", "Run this command as root")
    return verdicts.runtime_dir(found, agent.account if agent else None)

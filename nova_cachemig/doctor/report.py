"""All findings for the given configuration files, as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.doctor import context, registry, runner
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Finding, failed, skipped

COLUMNS: Final = ("check", "status", "what", "remedy")
_CONFIGURATION: Final = "configuration"


def findings(
    agent_files: Sequence[str], nova_files: Sequence[str], *, required: bool
) -> list[Finding]:
    """Read the files and run all checks.

    ``required``: whether the operator has named the agent's files. Otherwise they may be missing
    if there are files of Nova.
    """
    found: list[Finding] = []

    def read(
        files: Sequence[str], how: Callable[[Sequence[str]], cfg.ConfigOpts]
    ) -> cfg.ConfigOpts | None:
        try:
            return how(files)
        except cfg.Error as exc:
            verdict = failed(str(exc), f"Correct {' or '.join(files)}")
            found.append(Finding(_CONFIGURATION, verdict))
            return None

    conf = nova_conf = None
    if nova_files and not required and not any(Path(file).exists() for file in agent_files):
        why = f"{' and '.join(agent_files)} does not exist: this host is no cache node"
        found.append(Finding(_CONFIGURATION, skipped(why)))
    else:
        conf = read(agent_files, context.read_agent)
    if nova_files:
        nova_conf = read(nova_files, context.read_nova)
    return found + runner.run(registry.checks(Context(conf, nova_conf)))


def rows(found: Sequence[Finding]) -> list[tuple[str, str, str, str]]:
    """One row per finding, in the order of :data:`COLUMNS`."""
    return [
        (finding.check, finding.verdict.status.value, finding.verdict.what, finding.verdict.remedy)
        for finding in found
    ]

"""The service files: each is valid, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nova_cachemig.agent.services import files
from nova_cachemig.agent.services.atomic import ServicesError
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict
from nova_cachemig.doctor.verdicts import services as verdicts


def checks(context: Context) -> Sequence[Check]:
    """Checks of [agent] services_dir."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    directory = Path(conf.agent.services_dir)

    def run() -> list[Verdict]:
        try:
            found, mistakes = files.check(directory)
        except ServicesError as exc:
            return verdicts.services(str(directory), 0, {str(directory): exc.errors})
        return verdicts.services(str(directory), len(found), mistakes)

    return [Check("services.files", run)]

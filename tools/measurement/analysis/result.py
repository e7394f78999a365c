"""``result.json``: the figures of all runs, all claims, and the environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tools.measurement.analysis.claims import claims
from tools.measurement.analysis.figures import figures
from tools.measurement.analysis.late import cacheable_paths
from tools.measurement.analysis.outcome import Run


def in_order(runs: Sequence[Run]) -> list[Run]:
    """The runs by case, in the order of the cases, with the control first."""
    cases = list(dict.fromkeys(run.case for run in runs))
    return sorted(runs, key=lambda run: (cases.index(run.case), run.protected))


def result(
    runs: Sequence[Run], *, generated_at: str, environment: Mapping[str, Any]
) -> dict[str, Any]:
    """The whole result, as primitives."""
    ordered = in_order(runs)
    paths = cacheable_paths(ordered)
    found = [figures(run, paths) for run in ordered]
    return {
        "generated_at": generated_at,
        "environment": dict(environment),
        "runs": found,
        "claims": [claim.to_wire() for claim in claims(found)],
        "cacheable_paths": len(paths),
    }

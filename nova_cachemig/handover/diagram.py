"""The table of phases as a Graphviz graph, for the documentation."""

from __future__ import annotations

from nova_cachemig.handover.table import TABLE, Row
from nova_cachemig.model.phase import Phase


def _targets(row: Row) -> list[Phase]:
    found = [row.then] if row.then else []
    return found + (_targets(row.other) if row.other else [])


def graphviz() -> str:
    """Return the graph in the DOT language: an edge for each change of phase."""
    labels: dict[tuple[Phase, Phase], list[str]] = {}
    for phase, rows in TABLE.items():
        for kind, row in rows.items():
            for target in _targets(row):
                if target is not phase:
                    labels.setdefault((phase, target), []).append(kind.value)
    lines = ["digraph handover {", "  rankdir=LR; node [shape=box, style=rounded];"]
    lines += [f"  {phase.value};" for phase in TABLE]
    for (start, end), kinds in labels.items():
        joined = "\\n".join(kinds)
        lines.append(f'  {start.value} -> {end.value} [label="{joined}"];')
    return "\n".join([*lines, "}"]) + "\n"

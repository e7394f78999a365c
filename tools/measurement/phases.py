"""The events of a run, as the caller of the migration and the agent recorded them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nova_cachemig.model.handover import HandoverRecord


class PhasesError(ValueError):
    """A file of phases cannot be read; the text says which and why."""


def parse(wire: Any) -> tuple[dict[str, float], list[tuple[float, str]]]:
    """Phases (name → UNIX seconds of their first start) and sentences with their times.

    ``wire`` maps names to UNIX seconds, or is a handover record in the JSON of
    ``nova-cachemig-manage handover show``, or is a list of these. Raises PhasesError.
    """
    if isinstance(wire, list):
        phases: dict[str, float] = {}
        story: list[tuple[float, str]] = []
        for entry in wire:
            more, sentences = parse(entry)
            phases = more | phases
            story += sentences
        return phases, sorted(story)
    if not isinstance(wire, Mapping):
        raise PhasesError(f"neither phases nor a handover: {wire!r:.80}")
    try:
        if "decisions" not in wire:
            return {str(name): float(at) for name, at in wire.items()}, []
        record = HandoverRecord.from_wire(dict(wire))
    except (KeyError, TypeError, ValueError) as exc:
        raise PhasesError(f"neither phases nor a handover: {exc!r}") from exc
    first: dict[str, float] = {}
    for decision in record.decisions:
        first.setdefault(decision.phase.value, decision.at)
    return first, [(d.at, d.sentence) for d in record.decisions]


def from_files(paths: list[Path], began: float) -> tuple[dict[str, float], list[tuple[float, str]]]:
    """The content of all files, in seconds since ``began``; missing files are skipped."""
    phases: dict[str, float] = {}
    story: list[tuple[float, str]] = []
    for path in paths:
        if not path.exists():
            continue
        try:
            more, sentences = parse(json.loads(path.read_text()))
        except ValueError as exc:
            raise PhasesError(f"{path}: {exc}") from exc
        phases |= more
        story += sentences
    ordered = sorted(phases.items(), key=lambda item: item[1])
    since = {name: round(at - began, 4) for name, at in ordered}
    return since, sorted((round(at - began, 4), sentence) for at, sentence in story)

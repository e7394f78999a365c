"""A proposed policy, as primitives for RPC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nova_cachemig.agent.services import policy, presets
from nova_cachemig.model.policy import Policy
from nova_cachemig.popularity.learning import Step, propose
from nova_cachemig.popularity.sampling import Seen


def proposed(present: Policy, since: float, sample: Sequence[Seen]) -> dict[str, Any]:
    """Return the present policy as in a services file, and what to add with the gain of each.

    ``since``: UNIX seconds of the first request that was sampled.
    """
    found = propose(sample, present, presets.load())
    return {
        "since": since,
        "requests": found.requests,
        "reads": found.reads,
        "shared": found.shared,
        "present": policy.to_entry(present),
        "steps": [_step(step) for step in found.steps],
        "unknown_cookies": [list(one) for one in found.unknown_cookies],
    }


def _step(step: Step) -> dict[str, Any]:
    entry: dict[str, Any] = {"why": step.why, "gain": step.gain}
    if step.preset:
        entry["preset"] = step.preset
    if step.rule is not None:
        entry["rule"] = policy.rule_entry(step.rule)
    if step.consent is not None:
        entry["consent"] = step.consent.value
    return entry

"""A proposed policy as YAML with comments, for the file of a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from nova_cachemig.report.handover import utc


def proposal_text(name: str, found: Mapping[str, Any], *, consent: bool) -> str:
    """Return the YAML. ``consent``: whether the parts that need consent are not in comments."""
    reads = found["reads"]
    if not reads:
        return f"# No reads of {name} in the sample yet: about one request in eight is in it.\n"
    steps = found["steps"]
    present = dict(found["present"])
    taken = [step for step in steps if consent or "consent" not in step]
    later = [step for step in steps if step not in taken]
    consents = [step["consent"] for step in taken if "consent" in step]
    share = _share(found["shared"], reads)
    lines = [
        f"# Proposed for {name} from a sample of {found['requests']} requests, {reads} of them",
        f"# reads, since {utc(found['since'])} UTC. Nothing has been changed.",
        f"# At present, {found['shared']} of the reads ({share}) can be shared.",
        "policy:",
    ]
    lines += _presets(present.pop("presets", []), taken, reads)
    rules = present.pop("rules", [])
    consents = list(dict.fromkeys([*present.pop("consent", []), *consents]))
    if consents:
        lines.append(f"  consent: [{', '.join(consents)}]")
    lines += [f"  {line}" for line in yaml.safe_dump(present).splitlines() if present]
    added = [step for step in taken if "rule" in step]
    if rules or added:
        lines.append("  rules:")
    for rule in rules:
        lines += _indented(rule, "    ")
    for step in added:
        lines += [f"    # {_reason(step, reads)}", *_indented(step["rule"], "    ")]
    if len(lines) == 4:
        lines[3] = "policy: {}  # nothing to add"
    lines += _with_consent(later, reads)
    if found["unknown_cookies"]:
        named = ", ".join(
            f"{cookie} ({_share(n, reads)})" for cookie, n in found["unknown_cookies"]
        )
        lines += [
            "# Cookies that no rule names, and their share of the reads. Those that only scripts",
            f"# read belong to script_cookies: {named}",
        ]
    return "\n".join(lines) + "\n"


def _presets(present: list[str], taken: list[Mapping[str, Any]], reads: int) -> list[str]:
    new = [step for step in taken if "preset" in step]
    names = [*present, *(step["preset"] for step in new)]
    lines = [f"  # {step['preset']}: {_reason(step, reads)}" for step in new]
    return [*lines, f"  presets: [{', '.join(names)}]"] if names else []


def _with_consent(later: list[Mapping[str, Any]], reads: int) -> list[str]:
    if not later:
        return []
    names = ", ".join(dict.fromkeys(step["consent"] for step in later))
    lines = [f"# With the consent of the service's owner, also (see --consent): {names}"]
    for step in later:
        lines.append(f"#   {_reason(step, reads)}")
        if "rule" in step:
            lines += [f"#   {line}" for line in _indented(step["rule"], "")]
    return lines


def _indented(rule: Mapping[str, Any], space: str) -> list[str]:
    text = yaml.safe_dump([dict(rule)], sort_keys=False, default_flow_style=None, width=1000)
    return [f"{space}{line}" for line in text.splitlines()]


def _reason(step: Mapping[str, Any], reads: int) -> str:
    return f"+{step['gain']} reads ({_share(step['gain'], reads)}): {step['why']}"


def _share(number: int, reads: int) -> str:
    return f"{100 * number / reads:.0f} %"

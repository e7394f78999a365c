"""The services' policies in the form in which the edge reads them from its map (``policy.lua``).

The entry of a service is ``NAME:CHUNKS``, and ``NAME:1`` and so on are the parts of the policy that
has this name. Services with equal policies share one, and a changed policy has another name. So the
edge reads each policy once and never half of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from nova_cachemig.model.policy import Consent, Policy, Rule

CHUNK: Final = 4096
"""Characters of a part: far less than HAProxy takes in one command."""

_FLAGS: Final = {None: "", True: "1", False: "0"}


def entries(policies: Mapping[str, Policy]) -> dict[str, str]:
    """Return the map's entries; the keys are encoded names of services.

    A service without rules has none. The parts come before the services that use them.
    """
    known: dict[Policy, tuple[str, list[str]]] = {}
    heads = {}
    parts: dict[str, str] = {}
    for service, policy in policies.items():
        if policy not in known:
            known[policy] = _text(policy)
            name, chunks = known[policy]
            parts |= {f"{name}:{number}": chunk for number, chunk in enumerate(chunks, start=1)}
        name, chunks = known[policy]
        if chunks:
            heads[service] = f"{name}:{len(chunks)}"
    return parts | heads


def _text(policy: Policy) -> tuple[str, list[str]]:
    """Return the name of a policy, and its parts; none if it has no rules."""
    rules = policy.effective()
    if not rules:
        return "", []
    chunks = _chunks(rules, policy.rules() if Consent.PRIVATE in policy.consent else ())
    return hashlib.sha256("".join(chunks).encode()).hexdigest()[:32], chunks


def _chunks(rules: tuple[Rule, ...], named: tuple[Rule, ...]) -> list[str]:
    """``named``: the same rules with the cookies that keep private pages apart; empty: none."""
    sessions = [rule.login_cookies for rule in named] or [()] * len(rules)
    lines = [_line(rule, names) for rule, names in zip(rules, sessions, strict=True)]
    text = quote("\n".join(lines), safe="/*=&:")
    return [text[at : at + CHUNK] for at in range(0, len(text), CHUNK)]


def _line(rule: Rule, sessions: tuple[str, ...]) -> str:
    flags = (rule.never, rule.static, rule.stale)
    return "\t".join(
        [
            " ".join(rule.paths),
            *(_FLAGS[flag] for flag in flags),
            " ".join(rule.login_cookies),
            " ".join(rule.script_cookies),
            " ".join(rule.ignore_query),
            " ".join(rule.neutral_headers),
            " ".join(rule.identifying_headers),
            _FLAGS[rule.private],
            " ".join(sessions),
        ]
    )

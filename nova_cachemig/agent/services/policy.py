"""The JSON schema of a service's policy, and its conversion to the model and back. No I/O."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from nova_cachemig.model.policy import OWN, Consent, Policy, Rule
from nova_cachemig.model.sharing import NEVER_NEUTRAL

MAX_RULES: Final = 64
MAX_GLOBS: Final = 64  # of one list
MAX_GLOB: Final = 256  # characters
MAX_SIZE: Final = 16 << 10
"""Characters of all globs of a policy together: the edge compares each request with them."""

_FLAGS: Final = ("never", "static", "stale", "private", "accept_writes")
_LISTS: Final = (
    "login_cookies", "script_cookies", "ignore_query", "neutral_headers", "identifying_headers"
)  # fmt: skip
_FIELD_OF: Final = {
    Consent.ANONYMOUS: "login_cookies",
    Consent.PRIVATE: "private",
    Consent.STALE: "stale",
    Consent.WRITES: "accept_writes",
}

# The edge separates globs by blanks. \Z, because $ allows a final newline.
_NAMES: Final = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z"
_HEADERS: Final = r"^[!#$%&'*+.^_`|~0-9a-z-]+\Z"
_NEUTRAL: Final = rf"^(?!({'|'.join(sorted(NEVER_NEUTRAL))})\Z|\*+\Z)" + _HEADERS.removeprefix("^")
_PARAMETERS: Final = r"^[^\x00-\x20\x7f-\U0010ffff&=?#]+\Z"
_PATHS: Final = r"^[/*][^\x00-\x20\x7f-\U0010ffff#]*\Z"


def _globs(pattern: str) -> dict[str, Any]:
    items = {"type": "string", "maxLength": MAX_GLOB, "pattern": pattern}
    return {"type": "array", "minItems": 1, "maxItems": MAX_GLOBS, "items": items}


RULE_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "paths": _globs(_PATHS),
        **{name: {"type": "boolean"} for name in _FLAGS},
        "login_cookies": _globs(_NAMES),
        "script_cookies": _globs(_NAMES),
        "ignore_query": _globs(_PARAMETERS),
        "neutral_headers": _globs(_NEUTRAL),
        "identifying_headers": _globs(_HEADERS),
    },
}

POLICY_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "presets": {"type": "array", "maxItems": 16, "items": {"type": "string"}},
        "consent": {"type": "array", "items": {"enum": [one.value for one in Consent]}},
        "defaults": {"type": "boolean"},
        "rules": {"type": "array", "maxItems": MAX_RULES, "items": RULE_SCHEMA},
    },
}

EXPECTED: Final[Mapping[str, str]] = {
    "policy": "a mapping with presets, consent, defaults and rules",
    "presets": "a list of presets, for instance [wordpress]",
    "consent": f"a list of {', '.join(Consent)}",
    "defaults": "true or false",
    "rules": f"a list of at most {MAX_RULES} rules",
    "paths": f"a list of 1 to {MAX_GLOBS} paths such as /admin/*, each with a slash or * first, "
    f"in ASCII and with at most {MAX_GLOB} characters",
    "never": "true or false",
    "static": "true or false",
    "stale": "true or false",
    "private": "true or false",
    "accept_writes": "true or false",
    "login_cookies": f"a list of 1 to {MAX_GLOBS} names of cookies such as sessionid, each with at "
    f"most {MAX_GLOB} characters",
    "script_cookies": f"a list of 1 to {MAX_GLOBS} names of cookies such as _ga*, each with at "
    f"most {MAX_GLOB} characters",
    "ignore_query": f"a list of 1 to {MAX_GLOBS} names of parameters such as utm_*, each with at "
    f"most {MAX_GLOB} characters",
    "neutral_headers": f"a list of 1 to {MAX_GLOBS} names of request headers in lower case such as "
    f"x-trace-*, each with at most {MAX_GLOB} characters, "
    f"without {', '.join(sorted(NEVER_NEUTRAL))}",
    "identifying_headers": f"a list of 1 to {MAX_GLOBS} names of request headers in lower case "
    f"such as x-member, each with at most {MAX_GLOB} characters",
}
"""A valid value of each field, for the operator."""

Presets = Mapping[str, Sequence[Rule]]
"""The rules of each preset by its name; those of ``default`` apply to all services."""

DEFAULT: Final = "default"


def rule(entry: Mapping[str, Any], origin: str = OWN) -> Rule:
    """Return a rule of an entry that is valid by :data:`RULE_SCHEMA`. Raises ValueError."""
    if not entry.keys() - {"paths"}:
        raise ValueError(f"says nothing: name one of {', '.join((*_FLAGS, *_LISTS))}")
    if entry.get("static") and "paths" not in entry:
        raise ValueError("static needs paths: no whole site is the same whatever the cookies")
    return Rule(
        paths=tuple(entry.get("paths", ())),
        login_cookies=tuple(entry.get("login_cookies", ())),
        script_cookies=tuple(entry.get("script_cookies", ())),
        ignore_query=tuple(entry.get("ignore_query", ())),
        neutral_headers=tuple(entry.get("neutral_headers", ())),
        identifying_headers=tuple(entry.get("identifying_headers", ())),
        origin=origin,
        **{name: entry.get(name) for name in _FLAGS},
    )


def policy(entry: Mapping[str, Any], presets: Presets) -> Policy:
    """Return the policy of an entry that is valid by :data:`POLICY_SCHEMA`.

    Raises ValueError, which names the field and a valid value.
    """
    names = tuple(entry.get("presets", ()))
    known = sorted(presets.keys() - {DEFAULT})
    for name in names:
        if name not in known:
            raise ValueError(
                f"policy.presets: no preset is named {name!r:.80}; there are: {', '.join(known)}"
            )
    consent = tuple(Consent(one) for one in entry.get("consent", ()))
    own = tuple(_own(number, one, consent) for number, one in enumerate(entry.get("rules", ())))
    defaults = entry.get("defaults", True)
    inherited = [one for name in dict.fromkeys(names) for one in presets[name]]
    found = Policy(
        presets=names,
        consent=consent,
        defaults=defaults,
        own=own,
        inherited=(*inherited, *(presets[DEFAULT] if defaults else ())),
    )
    size = sum(len(glob) for one in found.rules() for glob in _all_globs(one))
    if size > MAX_SIZE:
        raise ValueError(f"policy: its globs have {size:,} characters, at most {MAX_SIZE:,}")
    return found


def _own(number: int, entry: Mapping[str, Any], consent: Sequence[Consent]) -> Rule:
    where = f"policy.rules[{number}]"
    try:
        found = rule(entry)
    except ValueError as exc:
        raise ValueError(f"{where}: {exc}") from exc
    missing_consents = found.needs() - set(consent)
    if Consent.PRIVATE in consent:
        missing_consents -= {Consent.ANONYMOUS}  # it uses the names of the cookies, too
    for missing in sorted(missing_consents):
        field = _FIELD_OF[missing]
        raise ValueError(
            f"{where}.{field} needs the consent of the service's owner: add {missing} to "
            f"policy.consent, or remove {field}"
        )
    return found


def to_entry(found: Policy) -> dict[str, Any]:
    """Return the policy as in a services file; empty if it says nothing."""
    entry: dict[str, Any] = {}
    if found.presets:
        entry["presets"] = list(found.presets)
    if found.consent:
        entry["consent"] = [one.value for one in found.consent]
    if not found.defaults:
        entry["defaults"] = False
    if found.own:
        entry["rules"] = [rule_entry(one) for one in found.own]
    return entry


def rule_entry(one: Rule) -> dict[str, Any]:
    """Return a rule as in a services file."""
    fields = {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    del fields["origin"]
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in fields.items()
        if value is not None and value != ()
    }


def _all_globs(one: Rule) -> tuple[str, ...]:
    return (
        *one.paths, *one.login_cookies, *one.script_cookies, *one.ignore_query,
        *one.neutral_headers, *one.identifying_headers,
    )  # fmt: skip

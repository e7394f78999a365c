"""Checks the value of every option, and says what is wrong with one.

oslo.config checks a value when it is first read, and its error names neither the group nor what is
right. The programs check all values when they start, not during a handover.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from oslo_config import cfg, types

from nova_cachemig.conf.networks import Network
from nova_cachemig.conf.opts import list_agent_opts, list_nova_opts
from nova_cachemig.conf.sizes import Size

_ERROR: Final = re.compile(
    r"Value for option \S+ from LocationInfo\(.*detail='(?P<source>.*?)'\) is not valid: "
    r"(?P<reason>.*)",
    re.DOTALL,
)

_NO_OPTION: Final = (cfg.NoSuchOptError, cfg.TemplateSubstitutionError)
"""A value has $NAME, and there is no such option."""
_INVALID: Final = (cfg.ConfigSourceValueError, *_NO_OPTION)


def check(conf: cfg.ConfigOpts, *, in_nova: bool = False) -> None:
    """Read every option. Raises cfg.ConfigSourceValueError: one sentence for the operator.

    ``in_nova``: these are options in nova.conf, and the libraries of the agent may be missing.
    """
    for group in conf:
        try:
            options = conf[group]
        except _INVALID as exc:  # an option of this name in [DEFAULT]
            raise cfg.ConfigSourceValueError(_sentence("DEFAULT", group, exc, ())) from exc
        if isinstance(options, cfg.ConfigOpts.GroupAttr):
            _check_group(group, options, in_nova=in_nova)


def use_defaults(conf: cfg.ConfigOpts, group: str) -> list[str]:
    """Replace each value of a group that is not valid by the default.

    A service of Nova reads every option that is registered when it starts, to log the values. It
    ends if one is not valid. Returns one sentence per replaced value, for the operator.
    """
    found = []
    for name in conf[group]:
        try:
            conf[group][name]
        except _INVALID as exc:
            found.append(_sentence(group, name, exc, list_nova_opts()))
            conf.set_override(name, _find(group, name, list_nova_opts()).default, group=group)
    return found


def _check_group(group: str, options: Mapping[str, Any], *, in_nova: bool) -> None:
    for name in options:
        try:
            options[name]
        except _INVALID as exc:
            ours = list_nova_opts() if in_nova else list_agent_opts()
            raise cfg.ConfigSourceValueError(_sentence(group, name, exc, ours)) from exc


def _sentence(
    group: str, name: str, error: Exception, ours: Iterable[tuple[Any, list[Any]]]
) -> str:
    if isinstance(error, _NO_OPTION):
        return f"[{group}] {name} is not valid: write $$ for a dollar sign"
    found = _ERROR.fullmatch(str(error))
    if found is None:
        return f"[{group}] {name} is not valid: {error}"
    source, option = found["source"], _find(group, name, ours)
    value = None if option is None or option.secret else _value(source, group, option)
    shown = f"[{group}] {name}" if value is None else f"[{group}] {name} = {value}"
    right = None if option is None else _right(option.type)
    problem = found["reason"] if right is None else f"write {right}"
    return f"{source}: {shown} is not valid: {problem}"


def _find(group: str, name: str, ours: Iterable[tuple[Any, list[Any]]]) -> Any:
    for owner, options in ours:
        if str(owner) == group:
            for option in options:
                if option.dest == name:
                    return option
    return None


def _value(source: str, group: str, option: Any) -> str | None:
    """The text in the file, or in the environment variable, that is the source of the value."""
    sections: dict[str, dict[str, list[str]]] = {}
    if source in os.environ:
        return os.environ[source]
    cfg.ConfigParser(source, sections).parse()
    names = [(group, option.name), (group, option.dest)]
    names += [(old.group or group, old.name or option.name) for old in option.deprecated_opts]
    for section, name in names:
        if values := sections.get(section, {}).get(name):
            return values[-1]
    return None


def _right(kind: Any) -> str | None:
    """Describe a value of this type. None if the type has no description but its own error."""
    if isinstance(kind, types.Boolean):
        return "true or false"
    if isinstance(kind, types.Number | types.String) and kind.choices:
        return f"one of {', '.join(map(str, kind.choices))}"
    if isinstance(kind, types.Number):
        what = "a whole number" if isinstance(kind, types.Integer) else "a number"
        return what + _bounds(kind.min, kind.max)
    if isinstance(kind, Size):
        bounds = _bounds(kind.minimum, kind.maximum)
        return f"a number of bytes{bounds}, or a number with k, m or g"
    if isinstance(kind, Network):
        return "an IP address or ADDRESS/LENGTH, for instance 10.0.0.0/24"
    if isinstance(kind, types.String) and kind.regex:
        return f"a text that matches {kind.regex.pattern}"
    if isinstance(kind, types.URI) and kind.schemes:
        return f"a URL that begins with {' or '.join(f'{s}://' for s in kind.schemes)}"
    if isinstance(kind, types.List) and (item := _right(kind.item_type)):
        return f"a list with commas, each item {item}"
    return None


def _bounds(least: float | None, most: float | None) -> str:
    low, high = (f"{bound:g}" if isinstance(bound, float) else bound for bound in (least, most))
    if most is None:
        return "" if least is None else f" of at least {low}"
    return f" of at most {high}" if least is None else f" from {low} to {high}"

"""Types of arguments: a wrong one ends the command before it reads or asks anything.

Each takes the text of an argument and raises ArgumentTypeError, which says what is right.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import uuid
from collections.abc import Callable
from typing import Final, TypeVar

from nova_cachemig.model.naming import SERVICE_NAME
from nova_cachemig.model.service import Limits

Number = TypeVar("Number", int, float)

_WRITE: Final = re.compile(rf"{SERVICE_NAME}/[0-9]{{1,18}}")


def instance(text: str) -> str:
    """The UUID of an instance, as Nova writes it."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a UUID; 'openstack server list' shows those of the instances"
        ) from None


def write(text: str) -> str:
    """The name of a write: the service and the position in its queue."""
    if not _WRITE.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not the name of a write, for instance shop/12; 'journal list' shows the "
            "names"
        )
    return text


def limit(text: str) -> tuple[str, int]:
    """NAME=NUMBER: a limit of a service."""
    name, _, value = text.partition("=")
    names = [field.name for field in dataclasses.fields(Limits)]
    if name not in names or not re.fullmatch("[0-9]{1,7}", value):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not NAME=NUMBER, for instance rate=200; the names: {', '.join(names)}"
        )
    return name, int(value)


def number(kind: type[Number], least: float, most: float) -> Callable[[str], Number]:
    """A number of this kind, from ``least`` to ``most``."""

    def convert(text: str) -> Number:
        try:
            value: Number | None = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {least:g} to {most:g}")
        return value

    return convert

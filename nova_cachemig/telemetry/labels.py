"""Host names in Prometheus labels.

The ``instance`` label of a scraped target is its address: ``cmp1:9100``, ``10.0.0.11:9100`` or
``[2001:db8::11]:9100``. Nova knows the host by another name, or by the part before the port.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

_NAME: Final = re.compile(r"(?P<host>[^\s:\[\]]+)(:[0-9]+)?")
_BRACKETED: Final = re.compile(r"\[(?P<host>[^\[\]]+)\](:[0-9]+)?")


def host_of(label: str) -> str:
    """The host in a label: HOST, HOST:PORT, IPV6, [IPV6] or [IPV6]:PORT; ValueError for others.

    IPv6 addresses are returned in their shortest form.
    """
    if found := _BRACKETED.fullmatch(label):
        return str(ipaddress.IPv6Address(found["host"]))
    if found := _NAME.fullmatch(label):
        return found["host"]
    return str(ipaddress.IPv6Address(label))


def canonical(host: str) -> str:
    """The shortest form of an IPv6 address, with or without brackets; other names unchanged."""
    try:
        return str(ipaddress.IPv6Address(host.removeprefix("[").removesuffix("]")))
    except ValueError:
        return host

"""Options of the metrics for Prometheus."""

from __future__ import annotations

import ipaddress
import re
from typing import Any, Final, NamedTuple

from oslo_config import cfg, types

GROUP = cfg.OptGroup("metrics", title="Metrics for Prometheus")

LOOPBACK: Final = "127.0.0.1"
_ADDRESS: Final = re.compile(r"(?:(?P<v4>[0-9.]+):|\[(?P<v6>[0-9a-fA-F:.]+)\]:)?(?P<port>[0-9]+)")


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Listen(types.ConfigType):
    """A port, or an IP address and a port."""

    def __init__(self) -> None:
        super().__init__(type_name="address and port value")

    def __call__(self, value: Any) -> Address:
        """Return the address; raises ValueError."""
        if isinstance(value, Address):
            return value
        match = _ADDRESS.fullmatch(str(value).strip())
        if match is None or not 0 <= int(match["port"]) <= 65535:
            raise ValueError(
                f"{value!r} is not an address: write a port, 192.0.2.1:9106 or [2001:db8::1]:9106"
            )
        host = match["v4"] or match["v6"] or LOOPBACK
        return Address(str(ipaddress.ip_address(host)), int(match["port"]))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Listen)

    def __hash__(self) -> int:
        return hash(Listen)

    def __repr__(self) -> str:
        return "Listen()"

    def _formatter(self, value: Any) -> str:
        return str(value)


OPTS = [
    cfg.Opt(
        "listen",
        type=Listen(),
        sample_default=9106,
        help="Address on which the agent serves its metrics to Prometheus: a port on 127.0.0.1, or "
        "an address with a port. Unset: nowhere. The listener has no authentication and no TLS. So "
        "if Prometheus is on another node, use an address of the management network.",
    ),
    cfg.Opt(
        "forecaster_listen",
        type=Listen(),
        sample_default=9107,
        help="Address on which the forecaster serves its metrics, as listen is for the agent. They "
        "need different ports on one node. Unset: nowhere.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options with ``conf``."""
    # By name: a group object is shared between configurations, and so are its options.
    conf.register_opts(OPTS, group=GROUP.name)


def list_opts() -> list[tuple[Any, list[Any]]]:
    """Return the options for the sample generator."""
    return [(GROUP, OPTS)]

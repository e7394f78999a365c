"""The type of options that are an IP network."""

from __future__ import annotations

from typing import Any

from oslo_config import types

from nova_cachemig.model import naming


class Network(types.ConfigType):
    """An address, or a network as ADDRESS/LENGTH. The value is a text in canonical form."""

    def __init__(self) -> None:
        super().__init__(type_name="network value")

    def __call__(self, value: Any) -> str:
        """Return the network; raises ValueError."""
        return naming.network(str(value).strip())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Network)

    def __hash__(self) -> int:
        return hash(Network)

    def __repr__(self) -> str:
        return "Network()"

    def _formatter(self, value: Any) -> str:
        return str(value)

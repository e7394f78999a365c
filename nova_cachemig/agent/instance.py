"""An instance as Nova's API shows it. No I/O."""

from __future__ import annotations

import dataclasses
from typing import Any

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model import naming

DELETED = frozenset({"DELETED", "SOFT_DELETED"})
"""Statuses of an instance that is gone, or is purged later. It may be restored until then."""

_DELETING = frozenset({"deleting", "soft-deleting"})
"""Task states of an instance that loses its ports before its record is gone."""


class UnknownInstanceError(ComponentError):
    """Nova has no such instance, or does not show it to the agent's account."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """``addresses``: network name → fixed addresses, IPv4 first; ``floating``: the others.

    ``macs``: address → MAC address of its port.
    """

    uuid: str
    addresses: dict[str, tuple[str, ...]]
    floating: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    macs: dict[str, str] = dataclasses.field(default_factory=dict)

    def address(self, network: str | None) -> str:
        """The address on ``network``, or the first of all; ComponentError if there is none."""
        names = [network] if network is not None else sorted(self.addresses)
        for name in names:
            if self.addresses.get(name):
                return self.addresses[name][0]
        raise ComponentError(
            f"instance {self.uuid} has no address"
            + (f" on network {network!r}; it has {sorted(self.addresses)}" if network else "")
        )

    def floating_address(self, network: str | None) -> str:
        """The only floating address on ``network``, or of all; ComponentError if there is none."""
        names = [network] if network is not None else sorted(self.floating)
        found = [address for name in names for address in self.floating.get(name, ())]
        if len(found) == 1:
            return found[0]
        where = "" if network is None else f" on network {network!r}"
        if not found:
            raise ComponentError(
                f"instance {self.uuid} has no floating address{where}: add one to the instance, or "
                "remove 'floating' from the service"
            )
        raise ComponentError(
            f"instance {self.uuid} has several floating addresses{where}, {', '.join(found)}: name "
            "one in the service, as 'address', instead of 'floating'"
        )

    def may_have(self, address: str) -> bool:
        """Whether Nova reports this address, or none at all: its cache can be empty for a while."""
        found = [*self.addresses.values(), *self.floating.values()]
        known = {one for addresses in found for one in addresses}
        return not known or address in known

    def mac_of(self, address: str) -> str:
        """The MAC address of the port with this address; empty if Nova reports none."""
        return self.macs.get(address, "")


def end_of(server: Any) -> str | None:
    """Return the state in which an instance is or becomes deleted, in Nova's words."""
    status = str(getattr(server, "status", None))
    task = str(getattr(server, "OS-EXT-STS:task_state", None))
    return status if status in DELETED else task if task in _DELETING else None


def _canonical(address: str) -> str:
    try:
        return str(naming.ip_address(address))
    except ValueError:  # an error for the service that uses it
        return address


def _addresses(server: Any, kind: str) -> dict[str, tuple[str, ...]]:
    """Return the addresses of one kind by network, IPv4 first."""
    return {
        network: tuple(
            _canonical(entry["addr"])
            for entry in sorted(entries, key=lambda e: int(e.get("version", 4)))
            if entry.get("OS-EXT-IPS:type", "fixed") == kind
        )
        for network, entries in server.addresses.items()
    }


def _macs(server: Any) -> dict[str, str]:
    """Return the MAC address of each address's port."""
    return {
        _canonical(entry["addr"]): str(entry["OS-EXT-IPS-MAC:mac_addr"])
        for entries in server.addresses.values()
        for entry in entries
        if entry.get("OS-EXT-IPS-MAC:mac_addr")
    }


def instance_of(server: Any) -> Instance:
    """Return the instance of a server of novaclient."""
    fixed, floating = (_addresses(server, kind) for kind in ("fixed", "floating"))
    return Instance(server.id, fixed, floating, _macs(server))

"""Print cloud.json: the addresses and paths that a test needs."""

from __future__ import annotations

import json
import sys
from typing import Any


def describe(
    state: str,
    repo: str,
    names: str,
    storage: str,
    transport_url: str,
    auth_url: str,
    hosts: str,
    fronts: str,
) -> dict[str, Any]:
    addresses = dict(pair.split("=") for pair in hosts.split(","))
    return {
        "state": state,
        "repository": repo,
        "venv": f"{state}/venv",
        "openrc": f"{state}/openrc",
        "storage": storage,
        "transport_url": transport_url,
        "auth_url": auth_url,
        "hosts": {
            name: {"address": address, "netns": f"{names}-{name}"}
            for name, address in addresses.items()
        },
        "front_addresses": fronts.split(","),
        "agent": {
            "config": f"{state}/cache/nova-cachemig/nova-cachemig.conf",
            "state": f"{state}/cache/nova-cachemig/state",
            "services": f"{state}/cache/nova-cachemig/services.d",
        },
        "guest_port": 80,
    }


if __name__ == "__main__":
    json.dump(describe(*sys.argv[1:]), sys.stdout, indent=1)
    print()

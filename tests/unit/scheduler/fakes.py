"""Host states and requests with the fields of Nova's that the weighers read."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

from nova_cachemig.model.snapshot import HostLoad, Snapshot

LEVELS = (0.1, 0.5, 0.9)


def state(host: str, *, cpus: int = 16, used: int = 0, **metadata: str) -> Any:
    """A HostState; ``metadata``: that of an aggregate it is in."""
    aggregates = [types.SimpleNamespace(metadata=metadata)] if metadata else []
    return types.SimpleNamespace(
        host=host, nodename=host, vcpus_total=cpus, vcpus_used=used, aggregates=aggregates
    )


def spec(instance: str = "i1", vcpus: int = 2, *, move: bool = True, rebuild: bool = False) -> Any:
    """A RequestSpec."""
    destination = types.SimpleNamespace(cell="cell1")
    made: Any = Spec()
    made.instance_uuid = instance
    made.flavor = types.SimpleNamespace(vcpus=vcpus)
    made.ignore_hosts = ["source"] if move else None
    made.requested_destination = destination if move else None
    made.scheduler_hints = {"_nova_check_type": ["rebuild"]} if rebuild else {}
    return made


class Spec:
    """Can be asked what it holds, as Nova's objects."""

    def __contains__(self, name: str) -> bool:
        return hasattr(self, name)


def snapshot(
    means: dict[str, float],
    peaks: dict[str, Sequence[float]] | None = None,
    instances: dict[str, float] | None = None,
    **fields: Any,
) -> Snapshot:
    """A snapshot; where no peaks are given they are the mean, thrice."""
    hosts = {
        name: HostLoad(mean, tuple((peaks or {}).get(name, (mean,) * 3)))
        for name, mean in means.items()
    }
    made: dict[str, Any] = {
        "run": "r",
        "sequence": 1,
        "made_at": 0.0,
        "horizon": 3600.0,
        "metric": "cpu",
        "method": "m",
        "levels": LEVELS,
        "hosts": hosts,
        "instances": instances or {},
    }
    return Snapshot(**(made | fields))

"""The contract of the forecaster, for schedulers and operators.

Version history:

* 1.0 - request_snapshot, show, explain, rank
"""

from __future__ import annotations

from typing import Any, Final, Protocol

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.rpc import bus, checks
from nova_cachemig.rpc.client import RpcClient
from nova_cachemig.rpc.server import RpcServer

VERSION: Final = "1.0"
MAX_VCPUS: Final = 65536

Wire = dict[str, Any]


class ForecasterEndpoint(Protocol):
    """Plain functions. Several run at the same time, on threads of the server.

    A ValueError goes back to the caller as a sentence.
    """

    def request_snapshot(self) -> Wire | None:
        """The newest snapshot; None before the first."""

    def show(self) -> Wire:
        """Every host's forecast, and the state of telemetry."""

    def explain(self, host: str) -> Wire:
        """One host: its history, its forecast, and the reasons for it."""

    def rank(self, instance: str, vcpus: int | None) -> Wire:
        """Where an instance would go now, the best host first, and why."""


class ForecasterClient:
    """The forecaster, for a scheduler or for ``nova-cachemig-manage``.

    Each call ends within ``timeout`` seconds. It raises :class:`~.client.UnreachableError` or
    :class:`~.client.RefusedError` if there is no result.
    """

    def __init__(self, conf: cfg.ConfigOpts, topic: str, url: str | None, timeout: float) -> None:
        target = bus.target(topic, VERSION)
        self._rpc = RpcClient(conf, target, peer="forecaster", url=url, timeout=timeout)

    def request_snapshot(self) -> Wire | None:
        """The newest snapshot as it travels; None before the first."""
        return self._rpc.call("request_snapshot", {})

    def show(self) -> Wire:
        """Every host's forecast, and the state of telemetry."""
        return self._rpc.call("show", {})

    def explain(self, host: str) -> Wire:
        """One host: its history, its forecast, and the reasons for it."""
        return self._rpc.call("explain", {"host": host})

    def rank(self, instance: str, vcpus: int | None = None) -> Wire:
        """Where an instance would go now, the best host first, and why."""
        return self._rpc.call("rank", {"instance": instance, "vcpus": vcpus})


class Dispatch:
    """Validates what came over the wire."""

    target = oslo_messaging.Target(version=VERSION)

    def __init__(self, endpoint: ForecasterEndpoint) -> None:
        self._endpoint = endpoint

    def request_snapshot(self, ctxt: bus.Context) -> Wire | None:
        """See :class:`ForecasterEndpoint`, also for the others."""
        return self._endpoint.request_snapshot()

    @oslo_messaging.expected_exceptions(ValueError)
    def show(self, ctxt: bus.Context) -> Wire:
        return self._endpoint.show()

    @oslo_messaging.expected_exceptions(ValueError)
    def explain(self, ctxt: bus.Context, host: Any) -> Wire:
        return self._endpoint.explain(checks.name(host, "host"))

    @oslo_messaging.expected_exceptions(ValueError)
    def rank(self, ctxt: bus.Context, instance: Any, vcpus: Any = None) -> Wire:
        if vcpus is not None and (type(vcpus) is not int or not 0 < vcpus <= MAX_VCPUS):
            raise ValueError(f"vcpus is not a number of CPUs: {vcpus!r:.50}")
        return self._endpoint.rank(checks.name(instance, "instance"), vcpus)


def server(
    conf: cfg.ConfigOpts, topic: str, host: str, url: str | None, endpoint: ForecasterEndpoint
) -> RpcServer:
    """The server of a forecaster named ``host``."""
    target = bus.target(topic, VERSION, host)
    return RpcServer(conf, target, [Dispatch(endpoint)], url=url, self_check=True)

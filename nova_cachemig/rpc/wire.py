"""Names, versions and types on the message bus.

The exchange is set here and not taken from ``control_exchange``, which is 'nova' in nova.conf
and 'openstack' in a file of ours: both sides must name the same one whatever their files say.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Mapping
from typing import Any, Final

import oslo_messaging
from oslo_config import cfg

EXCHANGE: Final = "nova-cachemig"
VERSION: Final = "1.0"
"""The newest version of the agent's interface; its history: :class:`.agent.AgentClient`."""


# Read by oslo.messaging from the conf it is given, but registered by it on cfg.CONF only.
_GLOBAL_GROUPS: Final = {
    "oslo_messaging_metrics": "oslo_messaging._metrics.client",
    "oslo_messaging_tracing": "oslo_messaging._tracing.client",
}


class NotPrimitiveError(TypeError):
    """Something other than JSON's own types was about to be sent: the caller's fault."""


def target(topic: str, server: str | None = None) -> oslo_messaging.Target:
    """Where the agent is reached; with ``server``, where it listens."""
    return oslo_messaging.Target(exchange=EXCHANGE, topic=topic, version=VERSION, server=server)


def transport(conf: cfg.ConfigOpts, url: str | None) -> oslo_messaging.RPCTransport:
    """A transport of our own, so that nothing of ours ever waits for a connection of Nova's."""
    for group, module in _GLOBAL_GROUPS.items():
        with contextlib.suppress(ImportError):  # it is younger than the oldest release we allow
            conf.register_opts(getattr(importlib.import_module(module), group), group=group)
    return oslo_messaging.get_rpc_transport(conf, url=url)


def check_primitive(value: Any, where: str = "value") -> None:
    """Raise :class:`NotPrimitiveError` that names the place, if ``value`` is more than JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        # An enum that is also a str would pass json.dumps and come back as a plain str.
        if type(value) not in {type(None), bool, int, float, str}:
            raise NotPrimitiveError(f"{where} is a {type(value).__name__}")
    elif isinstance(value, dict):
        for key, item in value.items():
            if type(key) is not str:
                raise NotPrimitiveError(f"{where} has a key that is a {type(key).__name__}")
            check_primitive(item, f"{where}[{key!r}]")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            check_primitive(item, f"{where}[{number}]")
    else:
        raise NotPrimitiveError(f"{where} is a {type(value).__name__}")


class PrimitiveSerializer(oslo_messaging.NoOpSerializer):
    """Refuses what oslo.messaging would otherwise turn into something similar, unseen."""

    def serialize_entity(self, ctxt: Any, entity: Any) -> Any:
        """The entity as it is; raises :class:`NotPrimitiveError`."""
        check_primitive(entity)
        return entity

    def serialize_context(self, ctxt: Mapping[str, Any]) -> dict[str, Any]:
        """Only the request id: no token, no user ever goes to the agent."""
        request = ctxt.get("request_id")
        return {"request_id": str(request)} if request else {}

"""The hook, the pings and the notices of one process: all use one connection to the agent."""

from __future__ import annotations

import threading
import weakref
from typing import Any

from oslo_config import cfg

from nova_cachemig.compute.agent_ping import AgentPing
from nova_cachemig.compute.change import ChangeNotice
from nova_cachemig.compute.hook import HookTimeouts, MigrationHook
from nova_cachemig.rpc.agent_client import AgentClient, takes_changes
from nova_cachemig.rpc.faults import Faults


class AgentLink:
    """``hook`` handles the events of migrations; ``pings`` report whether the agent listens."""

    def __init__(self, conf: cfg.ConfigOpts, faults: Faults) -> None:
        ours = conf.cachemig
        client = AgentClient(
            conf,
            ours.topic,
            transport_url=ours.transport_url,
            rpc_timeout=ours.rpc_timeout,
            faults=faults,
        )
        timeouts = HookTimeouts(ours.warm_timeout, ours.rpc_timeout, ours.agent_retry_after)
        self._client = client
        self.hook = MigrationHook(client, timeouts, faults, on_failure=self._check_soon)
        self.pings = AgentPing(lambda: client.ping({}), self.hook.agent_responds)

    def report(self, notice: ChangeNotice) -> None:
        """Report a change of an instance to the agent. Never waits."""
        ping = self.pings.response
        if ping is None or takes_changes(ping):
            ctxt = {"request_id": notice.request} if notice.request else {}
            self._client.instance_changed(ctxt, notice.instance, notice.change)

    def _check_soon(self) -> None:
        self.pings.check_soon()


_links: weakref.WeakKeyDictionary[Any, AgentLink] = weakref.WeakKeyDictionary()
_lock = threading.Lock()


def of(conf: cfg.ConfigOpts, transport: object, faults: Faults) -> AgentLink:
    """Return the link of the drivers on this transport: Nova's two notifiers share theirs."""
    if transport is None:
        return AgentLink(conf, faults)
    with _lock:
        link = _links.get(transport)
        if link is None:
            link = _links[transport] = AgentLink(conf, faults)
        return link

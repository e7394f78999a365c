"""An agent's endpoint and a fake bus, for tests."""

import base64
import logging
import threading
import unittest
from collections.abc import Callable
from typing import Any

from oslo_config import cfg

from nova_cachemig.model.change import InstanceChange
from nova_cachemig.model.guest import GuestEvent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.rpc import agent as contract
from nova_cachemig.rpc.agent_client import AgentClient
from nova_cachemig.rpc.journal import JournalEndpoint
from nova_cachemig.rpc.server import RpcServer

RECORD = HandoverRecord(
    id=HandoverId("uuid-1", "req-1"),
    services=("shop",),
    source="a",
    destination="b",
    phase=Phase.ARMED,
    started=1.5,
)


def new_conf() -> cfg.ConfigOpts:
    """Return a separate conf for the test."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


class RecordingEndpoint:
    """Records the calls it receives; returns the results that the test sets."""

    def __init__(self) -> None:
        self.received: list[tuple[Any, ...]] = []
        self.changed = threading.Condition()
        self.warm: dict[str, Any] = {"ready": True, "phase": "armed", "reason": "warm"}
        self.error: Exception | None = None
        self.records = [RECORD]
        self.proposal: dict[str, Any] = {}
        self.found: list[dict[str, Any]] = [
            {"name": "shop", "listen": "10.0.0.1:80", "phase": "idle", "error": None}
        ]
        self.gate = threading.Event()
        self.gate.set()

    def _record(self, *call: Any) -> None:
        with self.changed:
            self.received.append(call)
            self.changed.notify_all()
        self.gate.wait(30)
        if self.error is not None:
            raise self.error

    def await_that(self, predicate: Callable[[], bool], limit: float = 5.0) -> bool:
        with self.changed:
            return self.changed.wait_for(predicate, limit)

    def begin(
        self,
        ctxt: Any,
        handover: HandoverId,
        source: str | None,
        destination: str | None,
        at: float,
        behind: float,
    ) -> None:
        context = {name: value for name, value in ctxt.items() if name != "age"}
        self._record("begin", handover, source, destination, at, behind, context)

    def wait_warm(self, ctxt: Any, handover: HandoverId, wait: float) -> dict[str, Any]:
        self._record("wait_warm", handover, wait)
        return self.warm

    def guest_event(self, ctxt: Any, event: GuestEvent) -> None:
        self._record("guest_event", event)

    def instance_changed(self, ctxt: Any, instance: str, change: InstanceChange) -> None:
        self._record("instance_changed", instance, change)

    def handovers(self, ctxt: Any, limit: int, offset: int) -> list[HandoverRecord]:
        self._record("handovers", limit, offset)
        return self.records[offset : offset + limit]

    def handover(self, ctxt: Any, instance: str, request: str | None) -> HandoverRecord | None:
        for record in self.records:
            if record.id.instance == instance and request in {None, record.id.request}:
                return record
        return None

    def services(self, ctxt: Any) -> list[dict[str, Any]]:
        return self.found

    def propose_policy(self, ctxt: Any, service: str) -> dict[str, Any]:
        self._record("propose_policy", service)
        return self.proposal

    def reload(self, ctxt: Any) -> list[str]:
        self._record("reload")
        return ["shop.yaml: no port"]

    def ping(self, ctxt: Any) -> dict[str, Any]:
        self._record("ping")
        return {"host": "cache1", "version": "1"}


class CannedReview:
    """Returns writes and bodies that the test sets, two writes per page; records the decisions."""

    def __init__(self) -> None:
        self.canned: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, list[bytes]] = {}
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def writes(
        self, states: Any, service: str | None, after: str | None, *, content: bool
    ) -> dict[str, Any]:
        self.asked.append((list(states), service, after, content))
        names = [name for name in sorted(self.canned) if after is None or name > after]
        page = [self.canned[name] for name in names[:2]]
        return {"writes": page, "next": names[1] if len(names) > 2 else None}

    def write(self, name: str) -> dict[str, Any]:
        if name not in self.canned:
            raise ValueError(f"the journal has no write {name}")
        return self.canned[name]

    def body(self, name: str, chunk: int) -> dict[str, Any]:
        if self.error is not None and chunk > 0:
            raise self.error
        data = self.bodies[name][chunk]
        last = chunk + 1 == len(self.bodies[name])
        return {"data": base64.b64encode(data).decode(), "last": last}

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        self.asked.append(("resend", name, reason, asked_by))

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        self.asked.append(("discard", name, reason, asked_by))


class OnFakeBus(unittest.TestCase):
    """A server and a client; each test has its own topic on the process's one fake bus."""

    def setUp(self) -> None:
        for name in ("oslo_messaging", "oslo.messaging"):  # they log what these tests provoke
            logger = logging.getLogger(name)
            self.addCleanup(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        self.endpoint = RecordingEndpoint()
        self.addCleanup(self.endpoint.gate.set)
        self.topic = self.id()

    def serve(self, review: JournalEndpoint | None = None) -> RpcServer:
        server = contract.server(
            new_conf(),
            self.endpoint,
            host="cache1",
            topic=self.topic,
            transport_url="fake://",
            review=review,
        )
        server.start()
        # Only at the end: a process has one fake bus, and stopping a server empties it.
        self.addCleanup(server.stop)
        self.assertTrue(server.wait_listening(5))
        return server

    def client(self, **options: Any) -> AgentClient:
        client = AgentClient(new_conf(), self.topic, transport_url="fake://", **options)
        self.addCleanup(client.close)
        return client

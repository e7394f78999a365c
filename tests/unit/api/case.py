"""The API in this process, with Keystone's middleware, and with an agent and a Nova of the test."""

from __future__ import annotations

import json
import unittest
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import webob
from keystoneauth1.fixture import V3Token
from keystonemiddleware import auth_token, fixture
from oslo_config import cfg

from nova_cachemig.api.access import enforcer
from nova_cachemig.api.dispatch import Components
from nova_cachemig.api.errors import ApiError
from nova_cachemig.api.pipeline import pipeline
from nova_cachemig.conf import setup
from nova_cachemig.model.handover import Decision, HandoverId, HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.write import WriteState

RED, BLUE = "aaaa0000000000000000000000000001", "bbbb0000000000000000000000000002"
"""Two projects."""
RED_VM = "5f3c0b6a-0000-4000-8000-000000000001"
BLUE_VM = "5f3c0b6a-0000-4000-8000-000000000002"
LOST_VM = "5f3c0b6a-0000-4000-8000-000000000003"
"""An instance that Nova no longer has."""

ROLES: Mapping[str, tuple[str, list[str]]] = {
    # persona → project and the roles of its token, with those that Keystone implies
    "admin": (BLUE, ["admin", "manager", "member", "reader"]),
    "manager": (RED, ["manager", "member", "reader"]),
    "member": (RED, ["member", "reader"]),
    "reader": (RED, ["reader"]),
    "service": (RED, ["service"]),
    "none": (RED, ["other"]),
    "foreign": (BLUE, ["manager", "member", "reader"]),
}


def service(name: str, instance: str) -> dict[str, Any]:
    """A service as the agent describes it."""
    return {
        "name": name,
        "instance": instance,
        "port": 80,
        "listen": "203.0.113.10:80",
        "hosts": [f"{name}.example.org"],
        "writes": "hold",
        "address": "10.0.0.7",
        "address_from": "fixed",
        "phase": "idle",
        "reached": "yes",
        "error": None,
        "limits": {"connections": 5},
        "tls": {"certificates": ["/etc/secret.pem"]},
    }


def record(instance: str, request: str, *services: str, started: float = 1000.0) -> HandoverRecord:
    """An ended handover."""
    return HandoverRecord(
        id=HandoverId(instance, request),
        services=services,
        source="compute-source",
        destination="compute-destination",
        phase=Phase.RELEASED,
        started=started,
        ended=started + 10,
        outcome=OutcomeKind.COMPLETED,
        decisions=(Decision(started, Phase.WARMING, "Nova prepares a live migration"),),
        counts={"hits": 7},
        longest_wait=0.25,
    )


def write(name: str, state: str = "in_doubt", at: float = 1005.0) -> dict[str, Any]:
    """A write as the agent describes it, with all of its content."""
    return {
        "write": name,
        "state": state,
        "accepted_at": at,
        "ended_at": None,
        "note": "root@cache1 saw it",
        "method": "POST",
        "host": "shop.example.org",
        "url": "/buy?token=hunter2",
        "client": "198.51.100.9",
        "idempotency_key": "key-hunter2",
        "length": 3,
        "spool": None,
        "headers": [["cookie", "hunter2"]],
        "body": "aHVudGVyMg==",
    }


class FakeState:
    """The agent, with the state that the test sets."""

    def __init__(self) -> None:
        self.found_services = [service("news", BLUE_VM), service("shop", RED_VM)]
        self.found_handovers = [
            record(BLUE_VM, "req-blue", "news", started=1100.0),
            record(RED_VM, "req-red", "shop"),
        ]
        self.found_writes = [
            write("news/3", at=1105.0),
            write("shop/1"),
            write("shop/2", "damaged"),
            write("shop/9", "responded"),
        ]
        self.decided: list[tuple[str, ...]] = []
        self.error: Exception | None = None

    def _check(self) -> None:
        if self.error is not None:
            raise self.error

    def services(self) -> Sequence[dict[str, Any]]:
        self._check()
        return self.found_services

    def handovers(self) -> Sequence[HandoverRecord]:
        self._check()
        return self.found_handovers

    def writes(
        self, states: Sequence[WriteState], service: str | None, after: str | None
    ) -> Iterator[dict[str, Any]]:
        def place(name: str) -> tuple[str, int]:
            owner, _, position = name.partition("/")
            return owner, int(position)

        for facts in self.found_writes:
            name = facts["write"]
            if WriteState(facts["state"]) not in states or service not in {None, place(name)[0]}:
                continue
            if after is None or place(name) > place(after):
                yield facts

    def write(self, service: str, position: int) -> dict[str, Any] | None:
        name = f"{service}/{position}"
        return next((facts for facts in self.found_writes if facts["write"] == name), None)

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        self.decided.append(("resend", name, reason, asked_by))

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        self.decided.append(("discard", name, reason, asked_by))


class FakeProjects:
    """Nova, with the owners that the test sets."""

    def __init__(self) -> None:
        self.owners: dict[str, str | None] = {RED_VM: RED, BLUE_VM: BLUE}
        self.away = False

    def of(self, instances: set[str], *, needed: bool) -> dict[str, str | None]:
        if self.away and needed:
            raise ApiError(503, "Nova is away")
        return {one: None if self.away else self.owners.get(one) for one in instances}


def new_conf() -> cfg.ConfigOpts:
    """A configuration with Keystone's and the API's options."""
    conf = cfg.ConfigOpts()
    conf([], project="nova-cachemig", default_config_files=[], default_config_dirs=[])
    setup.register_all(conf)
    return conf


class ApiCase(unittest.TestCase):
    def setUp(self) -> None:
        self.state = FakeState()
        self.projects = FakeProjects()
        tokens = fixture.AuthTokenFixture()
        tokens.setUp()
        self.addCleanup(tokens.cleanUp)
        for persona, (project, roles) in ROLES.items():
            tokens.add_token_data(
                token_id=persona, user_id=f"user-{persona}", project_id=project, role_list=roles
            )
        system = V3Token(user_id="user-system")
        system.set_system_scope()
        system.add_role(name="admin")
        tokens.add_token(system, token_id="system")
        self.application = self.make(max_limit=1000)

    def make(self, *, max_limit: int) -> Any:
        """The WSGI application; a response that its schema does not allow is an error."""
        conf = new_conf()
        conf.register_opts(auth_token.AUTH_TOKEN_OPTS[0][1], group="keystone_authtoken")
        conf.set_override("www_authenticate_uri", "http://keystone", "keystone_authtoken")
        components = Components(enforcer(conf), self.state, self.projects, max_limit, "error")
        return pipeline(conf, components)

    def ask(
        self,
        path: str,
        persona: str | None = "admin",
        method: str = "GET",
        body: object = None,
        **headers: str,
    ) -> webob.Response:
        """The response to one request."""
        request = webob.Request.blank(path, method=method)
        if persona is not None:
            request.headers["X-Auth-Token"] = persona
        if body is not None:
            request.content_type = "application/json"
            request.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        for name, value in headers.items():
            request.headers[name.replace("_", "-")] = value
        return request.get_response(self.application)

    def document(self, path: str, persona: str = "admin") -> dict[str, Any]:
        """The body of a response, which must have status 200."""
        response = self.ask(path, persona)
        self.assertEqual(200, response.status_int, response.text)
        found: dict[str, Any] = response.json
        return found

    def fails(self, status: int, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The only error of a response, which must have this status."""
        response = self.ask(path, *args, **kwargs)
        self.assertEqual(status, response.status_int, response.text)
        (error,) = response.json["errors"]
        found: dict[str, Any] = error
        return found

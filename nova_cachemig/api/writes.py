"""The noun *write*: a request in the journal that waits for a decision."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any, Final

from nova_cachemig.api import paging, policies, schema, scope, services, views
from nova_cachemig.api.call import Call, Request, Wire
from nova_cachemig.api.errors import ApiError
from nova_cachemig.api.origin import Origins
from nova_cachemig.api.scope import Owned
from nova_cachemig.model.naming import SERVICE_NAME
from nova_cachemig.model.write import WriteState

NOUN: Final = "writes"
LISTED: Final = (WriteState.IN_DOUBT, WriteState.DAMAGED, WriteState.RESEND)
_DECIDABLE: Final = {
    "resend": (WriteState.IN_DOUBT,),
    "discard": (WriteState.IN_DOUBT, WriteState.DAMAGED),
}
_RULES: Final = {"resend": policies.WRITES_RESEND, "discard": policies.WRITES_DISCARD}
_NAME: Final = re.compile(rf"({SERVICE_NAME})/(0|[1-9][0-9]{{0,17}})")

_TEXT: Final[schema.Schema] = {"type": "string"}
_SOME: Final = schema.nullable(_TEXT)
_NUMBER: Final = schema.nullable({"type": "integer"})
WRITE: Final = schema.record(
    {
        "id": {**_TEXT, "description": "SERVICE/POSITION."},
        "project_id": {
            **_SOME,
            "description": "The project of the instance for which the write was accepted.",
        },
        "service": _TEXT,
        "state": {
            "enum": [state.value for state in WriteState],
            "description": "in_doubt and damaged wait for a decision.",
        },
        "method": _SOME,
        "host": _SOME,
        "path": {**_SOME, "description": "The path of the URL; null: the write is unreadable."},
        "length": {**_NUMBER, "description": "Bytes of the body."},
        "status": {**_NUMBER, "description": "The status of the guest's response."},
        "sent_again_as": {**_SOME, "description": "The id under which it was sent again."},
        "accepted_at": schema.TIME,
        "ended_at": schema.nullable(schema.TIME),
        "note": {
            **_SOME,
            "description": "The reason, and the operators' decisions. By default for "
            "administrators.",
        },
        "links": schema.LINKS,
    },
    optional=("note",),
)
_REASON: Final = schema.record(
    {
        "reason": {
            "type": "string",
            "maxLength": 500,
            "pattern": r"^[^\x00-\x1f\x7f\ud800-\udfff]*\Z",
            "description": "Kept with the write, beside the user and the project.",
        }
    },
    optional=("reason",),
)
ACTION: Final[schema.Schema] = {
    **schema.record({"resend": _REASON, "discard": _REASON}, optional=("resend", "discard")),
    "minProperties": 1,
    "maxProperties": 1,
}


def view(request: Request, owned: Owned[Wire]) -> Wire:
    """Return the representation that the caller may see: nothing that the write's user has sent.

    A query string may hold a secret, so only the path is shown.
    """
    facts, name = owned.item, str(owned.item["write"])
    service, _, position = name.partition("/")
    url = facts.get("url")
    shown: Wire = {
        "id": name,
        "project_id": owned.project,
        "service": service,
        "state": facts["state"],
        **{field: facts.get(field) for field in ("method", "host", "length", "status")},
        "path": None if url is None else str(url).partition("?")[0],
        "sent_again_as": facts.get("sent_again_as"),
        "accepted_at": views.time(facts["accepted_at"]),
        "ended_at": views.time(facts.get("ended_at")),
        "links": views.self_links(request, NOUN, service, position),
    }
    if request.caller.may(policies.WRITES_DETAILS, owned.project):
        shown["note"] = facts.get("note")
    return shown


class _Owners:
    """The projects of writes: None unless the service still has an instance of the same one."""

    def __init__(self, request: Request, *, needed: bool) -> None:
        records = request.state.handovers()
        self._origins = Origins(records)
        self._instances = {
            str(service["name"]): services.instance_of(service)
            for service in request.state.services()
        }
        known = {record.id.instance for record in records} | set(self._instances.values())
        self._projects = request.projects.of(known, needed=needed)

    def services_of(self, project: str) -> list[str]:
        """Return the names of the project's services, sorted."""
        found = self._instances.items()
        return sorted(name for name, one in found if self._projects.get(one) == project)

    def owned(self, facts: Wire) -> Owned[Wire]:
        """Return the write with its project."""
        service = str(facts["write"]).partition("/")[0]
        instance = self._origins.instance(service, float(facts["accepted_at"]))
        project = None if instance is None else self._projects.get(instance)
        present = self._projects.get(self._instances.get(service, ""))
        return Owned(facts, project if project == present else None)


def _list(request: Request) -> Wire:
    everywhere = scope.wants_all(request, policies.WRITES_LIST)
    marker = request.query.get("marker")
    if marker is not None and not _NAME.fullmatch(marker):
        raise ApiError(400, "the marker is not the id of a write, for instance shop/12")
    found = _found(request, _Owners(request, needed=not everywhere), marker, everywhere)
    limit = paging.limit_of(request.query, request.max_limit)
    part = list(itertools.islice(found, limit + 1))
    shown = [view(request, one) for one in part[:limit]]
    return views.page(request, NOUN, shown, more=len(part) > limit)


def _found(
    request: Request, owners: _Owners, marker: str | None, everywhere: bool
) -> Iterator[Owned[Wire]]:
    wanted = request.query.get("service")
    if everywhere:
        for facts in request.state.writes(LISTED, wanted, marker):
            yield owners.owned(facts)
        return
    project = request.caller.project
    if project is None:
        return
    begin = "" if marker is None else marker.partition("/")[0]
    for service in owners.services_of(project):
        if service < begin or wanted not in {None, service}:
            continue
        after = marker if service == begin else None
        for facts in request.state.writes(LISTED, service, after):
            owned = owners.owned(facts)
            if request.caller.owns(owned.project):
                yield owned


def _find(request: Request, rule: str) -> Owned[Wire]:
    everywhere = scope.sees_all(request, rule)
    owners = _Owners(request, needed=not everywhere)
    service, position = request.arguments["service"], request.arguments["position"]
    if _NAME.fullmatch(f"{service}/{position}") is None:
        raise scope.missing()
    project = request.caller.project
    if not everywhere and (project is None or service not in owners.services_of(project)):
        raise scope.missing()  # without a question to the agent
    facts = request.state.write(service, int(position))
    if facts is not None:
        owned = owners.owned(facts)
        if everywhere or request.caller.owns(owned.project):
            return owned
    raise scope.missing()


def _show(request: Request) -> Wire:
    return {"write": view(request, _find(request, policies.WRITES_SHOW))}


def _act(request: Request) -> None:
    ((action, given),) = request.body.items()
    owned = _find(request, _RULES[action])
    name, state = str(owned.item["write"]), str(owned.item["state"])
    allowed = _DECIDABLE[action]
    if state not in allowed:
        words = " or ".join(one.value for one in allowed)
        raise ApiError(409, f"write {name} is {state}; expected: {words}")
    decide: Any = request.state.resend if action == "resend" else request.state.discard
    decide(name, str(given.get("reason", "")), request.caller.name)


CALLS: Final = (
    Call(
        "GET",
        "/v1/writes",
        "List the writes that wait for a decision, by service and position.",
        (policies.WRITES_LIST, policies.ALL_PROJECTS, policies.WRITES_DETAILS),
        _list,
        query=schema.list_query({"service": schema.NAME}),
        response=schema.page(NOUN, WRITE),
    ),
    Call(
        "GET",
        "/v1/writes/{service}/{position}",
        "Show a write, in whatever state.",
        (policies.WRITES_SHOW, policies.WRITES_DETAILS),
        _show,
        response=schema.record({"write": WRITE}),
        errors=(400, 401, 403, 404, 406, 503),
    ),
    Call(
        "POST",
        "/v1/writes/{service}/{position}/action",
        "Decide about a write: send it again, or discard it.",
        (policies.WRITES_RESEND, policies.WRITES_DISCARD),
        _act,
        body=ACTION,
        status=202,
        errors=(400, 401, 403, 404, 406, 409, 413, 415, 503),
    ),
)

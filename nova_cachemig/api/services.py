"""The noun *service*: one HTTP service of an instance, and its present phase."""

from __future__ import annotations

from typing import Final

from nova_cachemig.api import paging, policies, schema, scope, views
from nova_cachemig.api.call import Call, Request, Wire
from nova_cachemig.api.scope import Owned
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import WriteMode

NOUN: Final = "services"
_DETAILS: Final = ("address", "address_from", "error")
_TEXT: Final[schema.Schema] = {"type": "string"}

SERVICE: Final = schema.record(
    {
        "id": {**_TEXT, "description": "The name, which is unique on the cache node."},
        "name": _TEXT,
        "project_id": {
            **schema.nullable(_TEXT),
            "description": "The project of the instance; null: unknown.",
        },
        "instance": {**_TEXT, "description": "The UUID of the instance in Nova."},
        "port": {"type": "integer", "description": "The TCP port on which the guest listens."},
        "listen": {**_TEXT, "description": "The front address, ADDRESS:PORT."},
        "hosts": {
            "type": "array",
            "items": _TEXT,
            "description": "Host names; empty: the service owns the front address.",
        },
        "writes": {
            "enum": [mode.value for mode in WriteMode],
            "description": "The response to a write while the guest is away.",
        },
        "phase": {
            "enum": [phase.value for phase in Phase],
            "description": "The phase of the handover; idle: the instance does not migrate.",
        },
        "reached": {
            "enum": ["yes", "no", "unknown"],
            "description": "Whether the agent has reached the guest.",
        },
        "address": {
            **schema.nullable(_TEXT),
            "description": "The guest's address. By default for administrators.",
        },
        "address_from": {
            **schema.nullable(_TEXT),
            "description": "The source of the address. By default for administrators.",
        },
        "error": {
            **schema.nullable(_TEXT),
            "description": "Why the service is not protected. By default for administrators.",
        },
        "links": schema.LINKS,
    },
    optional=_DETAILS,
)


def instance_of(service: Wire) -> str:
    """Return the UUID of the instance."""
    return str(service.get("instance", ""))


def view(request: Request, owned: Owned[Wire]) -> Wire:
    """Return the representation that the caller may see."""
    service, name = owned.item, str(owned.item["name"])
    shown: Wire = {
        "id": name,
        "name": name,
        "project_id": owned.project,
        "instance": instance_of(service),
        "port": service.get("port", 0),
        "listen": service.get("listen", ""),
        "hosts": list(service.get("hosts") or ()),
        "writes": service.get("writes", WriteMode.HOLD.value),
        "phase": service.get("phase", Phase.IDLE.value),
        "reached": service.get("reached", "unknown"),
        "links": views.self_links(request, NOUN, name),
    }
    if request.caller.may(policies.SERVICES_DETAILS, owned.project):
        shown |= {field: service.get(field) for field in _DETAILS}
    return shown


def _list(request: Request) -> Wire:
    found = scope.listed(request, policies.SERVICES_LIST, request.state.services(), instance_of)
    wanted = request.query.get("instance")
    found = [one for one in found if wanted in {None, instance_of(one.item)}]
    limit = paging.limit_of(request.query, request.max_limit)
    part, more = paging.cut(
        found, request.query.get("marker"), limit, lambda one: str(one.item["name"])
    )
    return views.page(request, NOUN, [view(request, one) for one in part], more=more)


def _show(request: Request) -> Wire:
    name = request.arguments["name"]
    found = scope.shown(
        request,
        policies.SERVICES_SHOW,
        request.state.services(),
        instance_of,
        lambda service: service["name"] == name,
    )
    return {"service": view(request, found)}


CALLS: Final = (
    Call(
        "GET",
        "/v1/services",
        "List services, by name.",
        (policies.SERVICES_LIST, policies.ALL_PROJECTS, policies.SERVICES_DETAILS),
        _list,
        query=schema.list_query({"instance": schema.UUID}),
        response=schema.page(NOUN, SERVICE),
    ),
    Call(
        "GET",
        "/v1/services/{name}",
        "Show a service.",
        (policies.SERVICES_SHOW, policies.SERVICES_DETAILS),
        _show,
        response=schema.record({"service": SERVICE}),
        errors=(400, 401, 403, 404, 406, 503),
    ),
)

"""The noun *handover*: the protocol of one live migration, running or ended."""

from __future__ import annotations

from typing import Any, Final

from nova_cachemig.api import paging, policies, schema, scope, views
from nova_cachemig.api.call import Call, Request, Wire
from nova_cachemig.api.scope import Owned
from nova_cachemig.model.handover import HandoverRecord, OutcomeKind
from nova_cachemig.model.phase import Phase
from nova_cachemig.report.handover import phase_times

NOUN: Final = "handovers"
_TEXT: Final[schema.Schema] = {"type": "string"}
_HOST: Final[schema.Schema] = schema.nullable(_TEXT)
_PHASE: Final[schema.Schema] = {"enum": [phase.value for phase in Phase]}

_SUMMARY: Final[dict[str, Any]] = {
    "id": {**_TEXT, "description": "INSTANCE/REQUEST."},
    "project_id": {
        **schema.nullable(_TEXT),
        "description": "The project of the instance; null: unknown.",
    },
    "instance": {**_TEXT, "description": "The UUID of the instance in Nova."},
    "request": {**_TEXT, "description": "Nova's request id of the migration."},
    "services": {"type": "array", "items": _TEXT, "description": "Names of the services."},
    "phase": {**_PHASE, "description": "The present or last phase."},
    "outcome": {
        "enum": [None, *(kind.value for kind in OutcomeKind)],
        "description": "How the handover ended; null: it runs.",
    },
    "started_at": schema.TIME,
    "ended_at": schema.nullable(schema.TIME),
    "longest_wait": {"type": "number", "description": "Seconds that a request waited, at most."},
    "counts": {
        "type": "object",
        "additionalProperties": {"type": "integer"},
        "description": "Numbers by name: hits, misses, held, writes and others.",
    },
    "source": {**_HOST, "description": "The source host. By default for administrators."},
    "destination": {
        **_HOST,
        "description": "The destination host. By default for administrators.",
    },
    "links": schema.LINKS,
}
_DETAILS: Final = ("source", "destination")
HANDOVER: Final = schema.record(_SUMMARY, optional=_DETAILS)
WHOLE_HANDOVER: Final = schema.record(
    {
        **_SUMMARY,
        "phases": {
            "type": "object",
            "additionalProperties": {"type": "number"},
            "description": "Phase → seconds since the start at which it began.",
        },
        "decisions": {
            "type": "array",
            "items": schema.record({"at": schema.TIME, "phase": _PHASE, "sentence": _TEXT}),
            "description": "One sentence for each decision. By default for administrators.",
        },
    },
    optional=(*_DETAILS, "decisions"),
)


def instance_of(record: HandoverRecord) -> str:
    """Return the UUID of the instance."""
    return record.id.instance


def view(request: Request, owned: Owned[HandoverRecord]) -> Wire:
    """Return the representation in a list."""
    record = owned.item
    shown: Wire = {
        "id": str(record.id),
        "project_id": owned.project,
        "instance": record.id.instance,
        "request": record.id.request,
        "services": list(record.services),
        "phase": record.phase.value,
        "outcome": record.outcome.value if record.outcome else None,
        "started_at": views.time(record.started),
        "ended_at": views.time(record.ended),
        "longest_wait": record.longest_wait,
        "counts": dict(record.counts),
        "links": views.self_links(request, NOUN, record.id.instance, record.id.request),
    }
    if request.caller.may(policies.HANDOVERS_DETAILS, owned.project):
        shown |= {"source": record.source, "destination": record.destination}
    return shown


def whole_view(request: Request, owned: Owned[HandoverRecord]) -> Wire:
    """Return the representation of a single handover."""
    shown = view(request, owned) | {"phases": phase_times(owned.item)}
    if request.caller.may(policies.HANDOVERS_DETAILS, owned.project):
        shown["decisions"] = [
            {"at": views.time(one.at), "phase": one.phase.value, "sentence": one.sentence}
            for one in owned.item.decisions
        ]
    return shown


def _list(request: Request) -> Wire:
    found = scope.listed(request, policies.HANDOVERS_LIST, request.state.handovers(), instance_of)
    instance, service = request.query.get("instance"), request.query.get("service")
    found = [
        one
        for one in found
        if instance in {None, instance_of(one.item)}
        and (service is None or service in one.item.services)
    ]
    limit = paging.limit_of(request.query, request.max_limit)
    part, more = paging.cut(found, request.query.get("marker"), limit, lambda one: str(one.item.id))
    return views.page(request, NOUN, [view(request, one) for one in part], more=more)


def _show(request: Request) -> Wire:
    wanted = (request.arguments["instance"], request.arguments["request"])
    found = scope.shown(
        request,
        policies.HANDOVERS_SHOW,
        request.state.handovers(),
        instance_of,
        lambda record: (record.id.instance, record.id.request) == wanted,
    )
    return {"handover": whole_view(request, found)}


CALLS: Final = (
    Call(
        "GET",
        "/v1/handovers",
        "List handovers, the newest first. The agent keeps the newest 1000.",
        (policies.HANDOVERS_LIST, policies.ALL_PROJECTS, policies.HANDOVERS_DETAILS),
        _list,
        query=schema.list_query({"instance": schema.UUID, "service": schema.NAME}),
        response=schema.page(NOUN, HANDOVER),
    ),
    Call(
        "GET",
        "/v1/handovers/{instance}/{request}",
        "Show a handover.",
        (policies.HANDOVERS_SHOW, policies.HANDOVERS_DETAILS),
        _show,
        response=schema.record({"handover": WHOLE_HANDOVER}),
        errors=(400, 401, 403, 404, 406, 503),
    ),
)

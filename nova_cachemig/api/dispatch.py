"""From a request to the call that it names, and back: routes, schemas, errors."""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import routes
import webob
import webob.exc
from oslo_log import log
from oslo_policy import policy

from nova_cachemig.api import errors, schema, versions
from nova_cachemig.api.access import Caller
from nova_cachemig.api.call import Call, Projects, Request, State
from nova_cachemig.api.errors import ApiError

LOG = log.getLogger(__name__)
JSON: Final = "application/json"
DISPATCHED: Final = "nova_cachemig.dispatched"
"""In the environment of a request that has passed the middlewares."""


@dataclasses.dataclass(frozen=True, slots=True)
class Components:
    """For the calls: the policy, the agent's state, Nova's owners, and options."""

    rules: policy.Enforcer
    state: State
    projects: Projects
    max_limit: int = 1000
    response_validation: str = "ignore"


class Dispatcher:
    """A WSGI application with these calls; it expects the environment of Keystone's middleware."""

    def __init__(self, calls: Iterable[Call], components: Components) -> None:
        self._components = components
        self._mapper = routes.Mapper(register=False)
        self._by_path: dict[str, dict[str, Call]] = defaultdict(dict)
        for call in calls:
            self._by_path[call.path][call.method] = call
        for path in self._by_path:
            self._mapper.connect(path, path)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Respond; an error becomes a document."""
        request = webob.Request(environ)
        environ[DISPATCHED] = True
        try:
            response = self._respond(request)
        except ApiError as exc:
            response = failure(request, exc)
        except webob.exc.HTTPException as exc:  # the body is larger than it said
            response = failure(request, ApiError(exc.status_int, "the body is too large"))
        except Exception:
            LOG.exception("%s %s failed", request.method, environ.get("PATH_INFO"))
            response = failure(request, ApiError(500, "the request failed; see the API's log"))
        return response(environ, start_response)

    def _respond(self, request: webob.Request) -> webob.Response:
        version = versions.requested(request.headers)
        call, arguments = self._find(request)
        found = call.run(
            Request(
                caller=Caller(self._components.rules, request.environ),
                state=self._components.state,
                projects=self._components.projects,
                base=request.application_url.rstrip("/"),
                max_limit=self._components.max_limit,
                arguments=arguments,
                query=_query(request, call),
                body=_body(request, call),
            )
        )
        self._check(call, found)
        response = _json(call.status, found)
        response.headers[versions.HEADER] = f"{versions.SERVICE_TYPE} {version}"
        response.headers["Vary"] = versions.HEADER
        response.headers["Cache-Control"] = "no-store"
        return response

    def _find(self, request: webob.Request) -> tuple[Call, Mapping[str, str]]:
        try:
            path = request.path_info
        except UnicodeDecodeError as exc:
            raise ApiError(400, "the path is not UTF-8") from exc
        matched = self._mapper.routematch(path)
        if matched is None:
            raise ApiError(404, "this API has no such path")
        arguments, route = matched
        methods = self._by_path[route.name]
        method = "GET" if request.method == "HEAD" else request.method
        if method not in methods:
            allowed = ", ".join(sorted(methods))
            raise ApiError(405, f"allowed here: {allowed}", headers={"Allow": allowed})
        return methods[method], arguments

    def _check(self, call: Call, found: object) -> None:
        if self._components.response_validation == "ignore" or call.response is None:
            return
        faults = schema.faults(call.response, found)
        for fault in faults:
            LOG.warning("%s %s: %s", call.method, call.path, fault)
        if faults and self._components.response_validation == "error":
            raise ApiError(500, f"the response is not valid: {faults[0]}")


def failure(request: webob.Request, error: ApiError) -> webob.Response:
    """Return the response for an error."""
    request_id = str(request.environ.get("openstack.request_id", ""))
    response = _json(error.status, errors.body(error, request_id))
    response.headers.update(error.headers)
    response.headers["Cache-Control"] = "no-store"
    return response


def _json(status: int, document: object) -> webob.Response:
    if document is None:
        return webob.Response(status=status, content_type=None, body=b"")
    # Without a charset: RFC 8259.
    return webob.Response(
        status=status, content_type=JSON, charset=None, body=json.dumps(document).encode()
    )


def _query(request: webob.Request, call: Call) -> dict[str, str]:
    try:
        pairs = list(request.GET.items())
    except UnicodeDecodeError as exc:
        raise ApiError(400, "the query is not UTF-8") from exc
    query = dict(pairs)
    if len(query) != len(pairs):
        raise ApiError(400, "the query has a parameter twice")
    schema.check(call.query, query, "query")
    return query


def _body(request: webob.Request, call: Call) -> dict[str, Any]:
    if call.body is None:
        return {}
    if request.content_type != JSON:
        raise ApiError(415, f"the body must be {JSON}")
    try:
        document: dict[str, Any] = json.loads(request.body.decode())
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "the body is not JSON") from exc
    schema.check(call.body, document, "body")
    return document

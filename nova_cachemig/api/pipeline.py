"""The WSGI application: the middlewares of OpenStack around the calls.

From the outside: the proxy's headers, the request id, the health check, uniform errors, the limit
of the body's size, the version documents. Behind Keystone's middleware are the calls.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import keystoneauth1.exceptions
import webob
import webob.dec
from keystonemiddleware import auth_token
from oslo_config import cfg
from oslo_log import log
from oslo_middleware import healthcheck, http_proxy_to_wsgi, request_id, sizelimit

from nova_cachemig.api import versions
from nova_cachemig.api.access import enforcer
from nova_cachemig.api.calls import CALLS
from nova_cachemig.api.dispatch import DISPATCHED, JSON, Components, Dispatcher, failure
from nova_cachemig.api.errors import TITLES, ApiError
from nova_cachemig.api.owners import NovaOwners
from nova_cachemig.api.state import AgentState

LOG = log.getLogger(__name__)


def application(conf: cfg.ConfigOpts) -> Any:
    """Return the application for the agent of ``conf``."""
    return pipeline(
        conf,
        Components(
            rules=enforcer(conf),
            state=AgentState(conf),
            projects=NovaOwners(conf),
            max_limit=conf.api.max_limit,
            response_validation=conf.api.response_validation,
        ),
    )


def pipeline(conf: cfg.ConfigOpts, components: Components) -> Any:
    """Return the application with these components."""
    calls = auth_token.AuthProtocol(
        Dispatcher(CALLS, components), {"oslo_config_config": conf, "delay_auth_decision": False}
    )
    limited = sizelimit.RequestBodySizeLimiter(Versions(calls), conf)
    return http_proxy_to_wsgi.HTTPProxyToWSGI(
        request_id.RequestId(Health(UniformErrors(limited), conf)), conf
    )


class Health:
    """Serves the health check at ``/healthcheck``, without a token."""

    def __init__(self, application: Any, conf: cfg.ConfigOpts) -> None:
        self._application = application
        # A request from a network that may not ask goes on to the application.
        self._check = healthcheck.Healthcheck(application, conf)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        """Pass the request to the health check or to the application."""
        asked = environ.get("PATH_INFO") == "/healthcheck"
        return (self._check if asked else self._application)(environ, start_response)


class Versions:
    """Serves the version documents at ``/`` and ``/v1``, without a token."""

    def __init__(self, application: Any) -> None:
        self._application = application

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> Any:
        """Return a version document, or the response of the application."""
        path = request.environ.get("PATH_INFO", "").rstrip("/")
        if path not in {"", "/v1"}:
            return request.get_response(self._application)
        if request.method not in {"GET", "HEAD"}:
            raise ApiError(405, "allowed here: GET", headers={"Allow": "GET"})
        document = versions.document(request.application_url.rstrip("/"))
        found = {"version": document} if path else {"versions": [document]}
        return webob.Response(content_type=JSON, charset=None, body=json.dumps(found).encode())


class UniformErrors:
    """Gives the errors of the middlewares the form of all others."""

    def __init__(self, application: Any) -> None:
        self._application = application

    @webob.dec.wsgify
    def __call__(self, request: webob.Request) -> webob.Response:
        """Return the response of the application, or an error document."""
        try:
            response = request.get_response(self._application)
        except ApiError as exc:
            return failure(request, exc)
        except keystoneauth1.exceptions.ClientException as exc:
            LOG.warning("Keystone cannot be asked about a token: %s", exc)
            return failure(request, ApiError(503, _DETAILS[503]))
        except Exception:  # of a middleware
            LOG.exception("%s %s failed", request.method, request.environ.get("PATH_INFO"))
            return failure(request, ApiError(500, "the request failed; see the API's log"))
        if response.status_int < 400 or request.environ.get(DISPATCHED):
            return response
        status = response.status_int
        headers = {name: value for name, value in response.headers.items() if name in _KEPT_HEADERS}
        detail = _DETAILS.get(status, TITLES.get(status, "the request failed"))
        return failure(request, ApiError(status, detail, headers=headers))


_KEPT_HEADERS = frozenset({"WWW-Authenticate", "Retry-After", "Allow"})
_DETAILS = {
    401: "the request needs a valid token in the header X-Auth-Token",
    413: "the body is too large",
    503: "Keystone cannot be asked about the token; try again later",
}

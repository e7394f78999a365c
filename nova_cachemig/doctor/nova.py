"""Keystone and Nova's API, with the agent's own account and its own two requests."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import keystoneauth1.exceptions as ksa
import novaclient.exceptions
from oslo_config import cfg

from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.services import files
from nova_cachemig.agent.services.atomic import ServicesError
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, ok
from nova_cachemig.doctor.verdicts import nova as verdicts
from nova_cachemig.doctor.verdicts.nova import Fault
from nova_cachemig.model.causes import cause_of

_TIMEOUT: Final = 4.0
"""Seconds for one request: less than the deadline of a check."""
_BY_CODE: Final = {
    401: Fault.UNAUTHORIZED,
    403: Fault.FORBIDDEN,
    404: Fault.NOT_FOUND,
    406: Fault.VERSION,
}
_BY_CLASS: Final[tuple[tuple[type[Exception], Fault], ...]] = (
    (ksa.MissingRequiredOptions, Fault.INCOMPLETE),
    (ksa.NoMatchingPlugin, Fault.INCOMPLETE),
    (ksa.SSLError, Fault.TLS),
    (ksa.ConnectTimeout, Fault.TIMEOUT),
    (ksa.ConnectFailure, Fault.CONNECT),
    (ksa.EndpointNotFound, Fault.NO_ENDPOINT),
    (ksa.EmptyCatalog, Fault.NO_ENDPOINT),
    (ksa.DiscoveryFailure, Fault.NOT_FOUND),
)


def checks(context: Context) -> Sequence[Check]:
    """Checks of the group [nova]."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    nova = _Nova(conf)
    return [
        Check("nova.token", lambda: [nova.token()]),
        Check("nova.servers", lambda: [nova.server()], ("nova.token",)),
        Check("nova.migrations", lambda: [nova.migrations()], ("nova.token",)),
    ]


def client(conf: cfg.ConfigOpts) -> Any:
    """Return the agent's client of Nova, with a short timeout. Raises ComponentError or ksa's."""
    made = NovaApi(conf).client()
    made.client.session.timeout = _TIMEOUT
    return made


def fault_of(exc: Exception) -> Fault:
    """Classify an error of keystoneauth1 or novaclient."""
    for kind, fault in _BY_CLASS:
        if isinstance(exc, kind):
            return fault
    if isinstance(exc, ComponentError):
        return Fault.INCOMPLETE
    code = getattr(exc, "http_status", None) or getattr(exc, "code", None)
    if isinstance(code, int):
        return Fault.SERVER if code >= 500 else _BY_CODE.get(code, Fault.OTHER)
    return Fault.OTHER


class _Nova:
    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._client: Any = None

    def token(self) -> Verdict:
        """Ask Keystone for a token."""
        try:
            made = client(self._conf)
            made.client.session.get_token(made.client.auth)
        except (ksa.ClientException, ComponentError) as exc:
            return verdicts.token_failed(fault_of(exc), _text(exc))
        self._client = made
        return ok("Keystone accepts the account in [nova]")

    def server(self) -> Verdict:
        """Ask for the instance of the first service, or for one that does not exist."""
        instance = self._instance()
        wanted = instance or str(uuid.uuid4())
        try:
            self._client.client.get(f"/servers/{wanted}")
        except novaclient.exceptions.NotFound as exc:
            if wanted not in str(exc):  # of the path, not of the instance
                return verdicts.request_failed("GET /servers/UUID", Fault.NOT_FOUND, _text(exc))
            if instance is not None:
                return verdicts.instance_unknown(instance)
        except (ksa.ClientException, novaclient.exceptions.ClientException) as exc:
            return verdicts.request_failed("GET /servers/UUID", fault_of(exc), _text(exc))
        return ok("Nova shows instances to the agent's account")

    def migrations(self) -> Verdict:
        """Ask for migrations as the agent does."""
        return _ask(
            "GET /os-migrations",
            lambda: self._client.migrations.list(
                instance_uuid=str(uuid.uuid4()), migration_type="live-migration"
            ),
            "Nova shows migrations to the agent's account",
        )

    def _instance(self) -> str | None:
        with contextlib.suppress(ServicesError):
            services, _ = files.check(Path(self._conf.agent.services_dir))
            return services[0].instance if services else None
        return None


def _ask(request: str, work: Callable[[], object], good: str) -> Verdict:
    try:
        work()
    except novaclient.exceptions.NotFound as exc:
        # Newer versions respond so for an instance that does not exist.
        if "nstance" in str(exc):
            return ok(good)
        return verdicts.request_failed(request, Fault.NOT_FOUND, _text(exc))
    except (ksa.ClientException, novaclient.exceptions.ClientException) as exc:
        return verdicts.request_failed(request, fault_of(exc), _text(exc))
    return ok(good)


def _text(exc: Exception) -> str:
    return cause_of(exc)[:300]

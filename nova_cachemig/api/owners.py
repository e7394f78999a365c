"""The projects that own instances, from Nova's API. The owner of an instance never changes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

import keystoneauth1.exceptions
from keystoneauth1 import adapter, loading
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.api.errors import ApiError
from nova_cachemig.conf.nova import GROUP

LOG = log.getLogger(__name__)

MICROVERSION: Final = "2.80"
_ALONE: Final = 20
"""Instances, at most, for which Nova is asked one by one instead of in pages."""
_PAGE: Final = 1000
_PATIENCE: Final = 8.0
"""Seconds for which one request of a client asks Nova. What is found is kept for the next one."""
_UNKNOWN_AGE: Final = 600.0
"""Seconds after which Nova is asked again for an instance that it does not know, and after which
all pages may be read again. Most of these instances are deleted, and remain so."""
_MOST: Final = 200_000
"""Owners to keep: many more than one cache node can have instances."""
_TIMEOUT: Final = 5.0
_ENDPOINT: Final = (
    "service_type",
    "service_name",
    "region_name",
    "endpoint_override",
    "version",
    "min_version",
    "max_version",
    "connect_retries",
    "connect_retry_delay",
    "status_code_retries",
    "status_code_retry_delay",
    "retriable_status_codes",
)
"""Options of [nova] that keystoneauth1's adapter accepts."""


class NovaError(Exception):
    """Nova does not respond, or refuses the account."""


class NovaOwners:
    """Implements :class:`nova_cachemig.api.call.Projects`."""

    def __init__(self, conf: cfg.ConfigOpts, clock: Callable[[], float] = time.monotonic) -> None:
        self._conf = conf
        self._clock = clock
        self._lock = threading.Lock()
        self._adapter: Any = None
        self._projects: dict[str, str] = {}
        self._unknown: dict[str, float] = {}  # instance → when Nova did not know it
        self._failed_at: float | None = None
        self._marker: str | None = None  # behind it, the pages are not read yet
        self._paged_at: float | None = None  # when the last page was read

    def of(self, instances: set[str], *, needed: bool) -> Mapping[str, str | None]:
        """The project of each instance; None: Nova knows none.

        Raises ApiError (503) if Nova does not respond and an owner is ``needed``.
        """
        if self._missing(instances):
            with self._lock:
                self._learn(self._missing(instances))
        if needed and self._missing(instances):
            raise ApiError(503, "the owners of some instances are not known yet; try again later")
        return {instance: self._projects.get(instance) for instance in instances}

    def _missing(self, instances: set[str]) -> set[str]:
        young = self._clock() - _UNKNOWN_AGE
        return {
            one
            for one in instances - self._projects.keys()
            if one and self._unknown.get(one, young) <= young
        }

    def _learn(self, missing: set[str]) -> None:
        now = self._clock()
        if not missing or (self._failed_at is not None and now - self._failed_at < 1.0):
            return
        self._failed_at = None
        if len(self._projects) + len(self._unknown) > _MOST:
            self._projects.clear()
            self._unknown.clear()
        until = now + _PATIENCE
        try:
            if len(missing) > _ALONE and (
                self._paged_at is None or now - self._paged_at >= _UNKNOWN_AGE
            ):
                missing = self._learn_pages(missing, until)
            for instance in missing:
                if self._clock() >= until:
                    return
                self._learn_one(instance)
        except NovaError as exc:
            self._failed_at = self._clock()
            LOG.warning("the owners of %d instances are unknown: %s", len(missing), exc)

    def _learn_pages(self, missing: set[str], until: float) -> set[str]:
        """Read pages of all instances; return those that are still missing.

        Where the time ends, the next request of a client goes on.
        """
        query: dict[str, Any] = {"all_tenants": "1", "limit": _PAGE}
        while missing and self._clock() < until:
            behind = {} if self._marker is None else {"marker": self._marker}
            response = self._get("/servers/detail", query | behind)
            # Otherwise the account may not list all, or the instance of the marker is deleted.
            rows = response.json()["servers"] if response.status_code == 200 else []
            self._projects |= {str(row["id"]): str(row["tenant_id"]) for row in rows}
            missing = missing - self._projects.keys()
            self._marker = str(rows[-1]["id"]) if rows else None
            if not rows:
                self._paged_at = self._clock()
                break
        return missing

    def _learn_one(self, instance: str) -> None:
        response = self._get(f"/servers/{instance}", {})
        if response.status_code == 200:
            self._projects[instance] = str(response.json()["server"]["tenant_id"])
            self._unknown.pop(instance, None)
        elif response.status_code == 404:
            self._unknown[instance] = self._clock()
        else:
            raise NovaError(f"Nova responds with {response.status_code}")

    def _get(self, path: str, query: Mapping[str, Any]) -> Any:
        try:
            return self._nova().get(path, params=query, microversion=MICROVERSION, raise_exc=False)
        except keystoneauth1.exceptions.ClientException as exc:
            raise NovaError(f"{type(exc).__name__}: {exc}") from exc

    def _nova(self) -> Any:
        if self._adapter is None:
            auth = loading.load_auth_from_conf_options(self._conf, GROUP.name)
            session = loading.load_session_from_conf_options(self._conf, GROUP.name, auth=auth)
            if session.timeout is None:
                session.timeout = _TIMEOUT
            self._adapter = self._endpoint(session, auth)
        return self._adapter

    def _endpoint(self, session: Any, auth: Any) -> Any:
        # keystoneauth1's own loader does not accept the default that [nova] valid_interfaces has.
        options = self._conf[GROUP.name]
        return adapter.Adapter(
            session,
            auth=auth,
            interface=options.valid_interfaces,
            **{name: options[name] for name in _ENDPOINT},
        )

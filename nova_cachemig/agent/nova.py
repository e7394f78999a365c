"""Instances and migrations from Nova's API, read only.

Microversion 2.80 is the latest change of ``os-migrations``. It lists the newest migration first, in
pages and with UUIDs (since 2.59). Nova 20 (Train) and later support it.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email.utils
import functools
import threading
import urllib.parse
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar, cast

import keystoneauth1.exceptions
import novaclient.client
import novaclient.exceptions
import tenacity
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.instance import (
    DELETED,
    Instance,
    UnknownInstanceError,
    end_of,
    instance_of,
)
from nova_cachemig.agent.ports import (
    ComponentError,
    GoneError,
    MigrationState,
    NovaUnreachableError,
)
from nova_cachemig.conf.nova import GROUP
from nova_cachemig.model.causes import cause_of

LOG = log.getLogger(__name__)
_T = TypeVar("_T")

MICROVERSION = "2.80"
_TIMEOUT = 10.0
"""Seconds for one response if [nova] timeout is unset; keystoneauth1 has no limit itself."""

_ENDPOINT = (
    "service_type",
    "service_name",
    "region_name",
    "endpoint_override",
    "min_version",
    "max_version",
    "connect_retries",
    "connect_retry_delay",
    "status_code_retries",
    "status_code_retry_delay",
    "retriable_status_codes",
)
"""Options of [nova] that novaclient passes on to keystoneauth1."""

_PAGE = 1000
"""Instances in one page; Nova gives fewer if its ``[api] max_limit`` is lower."""

_REFUSALS = (
    keystoneauth1.exceptions.Unauthorized,
    keystoneauth1.exceptions.Forbidden,
    keystoneauth1.exceptions.BadRequest,
    novaclient.exceptions.Unauthorized,
    novaclient.exceptions.Forbidden,
    novaclient.exceptions.BadRequest,
)
"""Nova does not accept the question. An application credential may lack the access rule."""

_SKEW = 60.0
"""Seconds by which the clocks of Nova's own hosts may differ."""

_LISTED_AFTER = 60.0
"""Seconds within which Nova's API certainly lists a migration that nova-compute has announced."""

_PASSING = (
    keystoneauth1.exceptions.ConnectFailure,
    keystoneauth1.exceptions.RetriableConnectionFailure,
    keystoneauth1.exceptions.HttpServerError,
)
_RUNNING = frozenset(
    {"accepted", "queued", "preparing", "running", "running post-copy", "post-migrating"}
)
_FAILED = frozenset({"error", "failed", "cancelled"})


def require_auth(conf: cfg.ConfigOpts) -> Any:
    """Return the authentication plugin of ``[nova]``. Raises NovaUnreachableError if incomplete."""
    try:
        auth = loading.load_auth_from_conf_options(conf, GROUP.name)
    except keystoneauth1.exceptions.ClientException as exc:
        raise NovaUnreachableError(f"[nova] is not complete: {exc}") from exc
    if auth is None:
        raise NovaUnreachableError(
            "[nova] auth_type is not set: set it, and the account with which the agent asks Nova "
            "(for auth_type = v3applicationcredential: auth_url, application_credential_id and "
            "application_credential_secret)"
        )
    return auth


def _endpoint(conf: cfg.ConfigOpts) -> dict[str, Any]:
    """Return keystoneauth1's options of the endpoint as arguments of novaclient's client."""
    options = conf[GROUP.name]
    found = {name: options[name] for name in _ENDPOINT}
    if options.version is not None:
        if options.min_version is not None or options.max_version is not None:
            raise NovaUnreachableError("[nova] version excludes min_version and max_version")
        found["min_version"] = options.version
    found["endpoint_type"] = options.valid_interfaces
    return found


def _of_the_server(exc: BaseException) -> bool:
    return isinstance(exc, novaclient.exceptions.ClientException) and exc.code >= 500


async def _in_thread(work: Callable[[], _T]) -> _T:
    """Run ``work`` in a new thread, which ends with the process.

    A Nova that does not respond must not delay the agent's stop, nor occupy the threads in which
    the write path uses the disk.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[_T] = loop.create_future()

    def finish(result: _T | None, error: BaseException | None) -> None:
        if future.done():  # cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(cast(_T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as exc:  # the caller gets it
            error = exc
        with contextlib.suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="nova", daemon=True).start()
    return await future


class NovaApi:
    """Calls Nova in threads, so that the event loop never waits for it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._client: Any = None
        self._seen: set[str] = set()  # instances that Nova has shown to this account
        self._may_list = True

    async def instance(self, uuid: str) -> Instance:
        """The instance; raises UnknownInstanceError, GoneError or NovaUnreachableError."""
        return await _in_thread(functools.partial(self._instance, uuid))

    async def page(self, after: str | None) -> tuple[dict[str, Instance], str | None]:
        """One page of all instances by UUID, behind the instance ``after``; and the next ``after``.

        None is the begin, and the end. Empty where the account may not list all instances. Raises
        NovaUnreachableError.
        """
        if self._may_list:
            return await _in_thread(functools.partial(self._page, after))
        return {}, None

    async def migration_state(self, instance: str, lasts: float) -> MigrationState:
        """State of the newest live migration; UNKNOWN if Nova does not respond. Never raises.

        ``lasts``: seconds since the handover began. In its first minute, a migration that had ended
        before is UNKNOWN, because Nova may not list the handover's own migration yet.
        """
        try:
            return await _in_thread(functools.partial(self._migration_state, instance, lasts))
        except ComponentError as exc:
            LOG.warning("the state of the migration of %s is unknown: %s", instance, exc)
        except Exception:  # the manager's watchdog must continue
            LOG.exception("the state of the migration of %s is unknown", instance)
        return MigrationState.UNKNOWN

    def keep(self, instances: Collection[str]) -> None:
        """Forget that Nova has shown any other instances."""
        self._seen.intersection_update(instances)

    # -- in threads ------------------------------------------------------------------------

    def client(self) -> Any:
        """The client of Nova. Blocking; raises an error of keystoneauth1."""
        if self._client is None:
            auth = require_auth(self._conf)
            session = loading.load_session_from_conf_options(self._conf, GROUP.name, auth=auth)
            if session.timeout is None:
                session.timeout = _TIMEOUT
            self._client = novaclient.client.Client(
                MICROVERSION, session=session, **_endpoint(self._conf)
            )
        return self._client

    def _ask(self, question: Any) -> Any:
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(3),
            wait=tenacity.wait_exponential(multiplier=0.2, max=2),
            retry=tenacity.retry_if_exception_type(_PASSING)
            | tenacity.retry_if_exception(_of_the_server),
            reraise=True,
        )
        try:
            return retrying(question)
        except novaclient.exceptions.NotFound:
            raise
        except (
            keystoneauth1.exceptions.ClientException,
            novaclient.exceptions.ClientException,
        ) as exc:
            raise NovaUnreachableError(f"Nova could not be asked: {cause_of(exc)}") from exc

    def _instance(self, uuid: str) -> Instance:
        try:
            server = self._ask(lambda: self.client().servers.get(uuid))
        except novaclient.exceptions.NotFound as exc:
            if uuid in self._seen:
                raise GoneError(f"Nova has instance {uuid} no more") from exc
            raise UnknownInstanceError(f"Nova knows no instance {uuid}") from exc
        self._seen.add(uuid)
        if (state := end_of(server)) is not None:
            raise GoneError(f"instance {uuid} is {state} in Nova")
        return instance_of(server)

    def _page(self, after: str | None) -> tuple[dict[str, Instance], str | None]:
        query = {"all_tenants": "1", "limit": str(_PAGE)} | ({"marker": after} if after else {})
        url = f"/servers/detail?{urllib.parse.urlencode(query)}"
        try:
            _, body = self._ask(lambda: self.client().client.get(url))
        except novaclient.exceptions.NotFound:
            return self._no_page(None)
        except NovaUnreachableError as exc:
            if not isinstance(exc.__cause__, _REFUSALS):
                raise
            if after is not None:
                return {}, None  # this instance is deleted: begin again
            return self._no_page(exc)
        rows, manager = body["servers"], self.client().servers
        servers = [manager.resource_class(manager, row, loaded=True) for row in rows]
        # While a cell is down, Nova shows its instances without addresses.
        shown = [s for s, row in zip(servers, rows, strict=True) if "addresses" in row]
        self._seen.update(server.id for server in shown)
        found = {server.id: instance_of(server) for server in shown if end_of(server) is None}
        return found, rows[-1]["id"] if rows else None

    def _no_page(self, why: Exception | None) -> tuple[dict[str, Instance], str | None]:
        self._may_list = False
        LOG.warning(
            "Nova does not list all instances to the agent's account, so it asks for each one "
            "alone. Permit GET /v2.1/servers/detail to the account. %s",
            why or "",
        )
        return {}, None

    def _migration_state(self, uuid: str, lasts: float) -> MigrationState:
        query = urllib.parse.urlencode({"instance_uuid": uuid, "migration_type": "live-migration"})
        try:
            # Not client().migrations.list(), which drops the response's headers.
            response, body = self._ask(lambda: self.client().client.get(f"/os-migrations?{query}"))
        except novaclient.exceptions.NotFound:
            return MigrationState.UNKNOWN
        found = body["migrations"]
        if self._is_deleted(uuid, shown=bool(found) or uuid in self._seen):
            return MigrationState.DELETED
        if not found:
            return MigrationState.UNKNOWN
        newest = max(found, key=lambda migration: int(migration["id"]))
        status = newest["status"]
        if status not in _RUNNING and lasts < _LISTED_AFTER:
            ago = _changed_ago(newest, response.headers.get("Date"))
            if ago is not None and ago > lasts + _SKEW:
                return MigrationState.UNKNOWN  # an earlier migration
        if status == "completed":
            return MigrationState.COMPLETED
        if status in _FAILED:
            return MigrationState.FAILED
        return MigrationState.RUNNING if status in _RUNNING else MigrationState.UNKNOWN

    def _is_deleted(self, uuid: str, *, shown: bool) -> bool:
        """Whether Nova has no such instance, or has only its record until it is purged.

        ``shown``: Nova shows the instance, or its migrations, to this account. Otherwise a 404 may
        mean that the account lacks the rights to see it.
        """
        try:
            server = self._ask(lambda: self.client().servers.get(uuid))
        except novaclient.exceptions.NotFound:
            return shown
        except NovaUnreachableError as exc:
            LOG.debug("instance %s: whether it is deleted is unknown: %s", uuid, exc)
            return False
        self._seen.add(uuid)
        return getattr(server, "status", None) in DELETED


def _changed_ago(migration: Mapping[str, Any], date: str | None) -> float | None:
    """Seconds since the record last changed, both by Nova's clock; None if they are unknown.

    ``date``: the Date header of Nova's response. Not every web server adds one.
    """
    try:
        now = email.utils.parsedate_to_datetime(date or "")
        changed = datetime.datetime.fromisoformat(
            migration.get("updated_at") or migration.get("created_at") or ""
        )
    except ValueError:
        return None
    # Nova's times are UTC without a zone.
    aware = [
        moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.UTC)
        for moment in (now, changed)
    ]
    return (aware[0] - aware[1]).total_seconds()

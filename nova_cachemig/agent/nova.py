"""Instances and migrations from Nova's API, read only.

Microversion 2.80 is the latest change of ``os-migrations``. It lists the newest migration first, in
pages and with UUIDs (since 2.59). Nova 20 (Train) and later support it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import email.utils
import functools
import threading
import urllib.parse
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, cast

import keystoneauth1.exceptions
import novaclient.client
import novaclient.exceptions
import tenacity
from keystoneauth1 import loading
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import (
    ComponentError,
    GoneError,
    MigrationState,
    NovaUnreachableError,
)
from nova_cachemig.conf.nova import GROUP
from nova_cachemig.model import naming
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
_DELETED = frozenset({"DELETED", "SOFT_DELETED"})
"""Statuses of an instance that is gone, or is purged later. It may be restored until then."""

_DELETING = frozenset({"deleting", "soft-deleting"})
"""Task states of an instance that loses its ports before its record is gone."""


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


class UnknownInstanceError(ComponentError):
    """Nova has no such instance, or does not show it to the agent's account."""


@dataclasses.dataclass(frozen=True, slots=True)
class Instance:
    """``addresses``: network name → fixed addresses, IPv4 first; ``floating``: the others.

    ``macs``: address → MAC address of its port.
    """

    uuid: str
    addresses: dict[str, tuple[str, ...]]
    floating: dict[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    macs: dict[str, str] = dataclasses.field(default_factory=dict)

    def address(self, network: str | None) -> str:
        """The address on ``network``, or the first of all; ComponentError if there is none."""
        names = [network] if network is not None else sorted(self.addresses)
        for name in names:
            if self.addresses.get(name):
                return self.addresses[name][0]
        raise ComponentError(
            f"instance {self.uuid} has no address"
            + (f" on network {network!r}; it has {sorted(self.addresses)}" if network else "")
        )

    def floating_address(self, network: str | None) -> str:
        """The only floating address on ``network``, or of all; ComponentError if there is none."""
        names = [network] if network is not None else sorted(self.floating)
        found = [address for name in names for address in self.floating.get(name, ())]
        if len(found) == 1:
            return found[0]
        where = "" if network is None else f" on network {network!r}"
        if not found:
            raise ComponentError(
                f"instance {self.uuid} has no floating address{where}: add one to the instance, or "
                "remove 'floating' from the service"
            )
        raise ComponentError(
            f"instance {self.uuid} has several floating addresses{where}, {', '.join(found)}: name "
            "one in the service, as 'address', instead of 'floating'"
        )

    def may_have(self, address: str) -> bool:
        """Whether Nova reports this address, or none at all: its cache can be empty for a while."""
        found = [*self.addresses.values(), *self.floating.values()]
        known = {one for addresses in found for one in addresses}
        return not known or address in known

    def mac_of(self, address: str) -> str:
        """The MAC address of the port with this address; empty if Nova reports none."""
        return self.macs.get(address, "")


class NovaApi:
    """Calls Nova in threads, so that the event loop never waits for it."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._client: Any = None
        self._seen: set[str] = set()  # instances that Nova has shown to this account

    async def instance(self, uuid: str) -> Instance:
        """The instance; raises UnknownInstanceError, GoneError or NovaUnreachableError."""
        return await _in_thread(functools.partial(self._instance, uuid))

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
        if (state := _end_of(server)) is not None:
            raise GoneError(f"instance {uuid} is {state} in Nova")
        fixed, floating = (_addresses(server, kind) for kind in ("fixed", "floating"))
        return Instance(server.id, fixed, floating, _macs(server))

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
        return getattr(server, "status", None) in _DELETED


def _end_of(server: Any) -> str | None:
    """Return the state in which an instance is or becomes deleted, in Nova's words."""
    status = str(getattr(server, "status", None))
    task = str(getattr(server, "OS-EXT-STS:task_state", None))
    return status if status in _DELETED else task if task in _DELETING else None


def _canonical(address: str) -> str:
    try:
        return str(naming.ip_address(address))
    except ValueError:  # an error for the service that uses it
        return address


def _addresses(server: Any, kind: str) -> dict[str, tuple[str, ...]]:
    """Return the addresses of one kind by network, IPv4 first."""
    return {
        network: tuple(
            _canonical(entry["addr"])
            for entry in sorted(entries, key=lambda e: int(e.get("version", 4)))
            if entry.get("OS-EXT-IPS:type", "fixed") == kind
        )
        for network, entries in server.addresses.items()
    }


def _macs(server: Any) -> dict[str, str]:
    """Return the MAC address of each address's port."""
    return {
        _canonical(entry["addr"]): str(entry["OS-EXT-IPS-MAC:mac_addr"])
        for entries in server.addresses.values()
        for entry in entries
        if entry.get("OS-EXT-IPS-MAC:mac_addr")
    }


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

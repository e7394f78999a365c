"""The files of the agent on this node, for the command line where no agent can be asked.

It takes no lock and works beside a running agent. Every method raises ComponentError.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

from nova_cachemig.agent import probe
from nova_cachemig.agent.engine import offline as engine
from nova_cachemig.agent.engine.offline import EngineStatus
from nova_cachemig.agent.journal import lock
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.agent.journal.offline import (
    count_waiting,
    newest_handovers,
    spool_of,
    upgraded_engine_of,
)
from nova_cachemig.agent.journal.review import Review
from nova_cachemig.agent.nova import NovaApi
from nova_cachemig.agent.ports import ComponentError, NovaUnreachableError
from nova_cachemig.agent.services import files, policy, presets, resolve, schema, stored
from nova_cachemig.agent.services.addresses import AddressBook
from nova_cachemig.agent.services.atomic import ServicesError
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.reach import Attempt
from nova_cachemig.model.service import Route, Service, Target
from nova_cachemig.model.write import WriteState
from nova_cachemig.rpc.agent import HANDOVERS_LIMIT

_CONNECT_TIMEOUT = 2.0  # seconds


@dataclasses.dataclass(frozen=True, slots=True)
class Added:
    """The file of a new service, and an attempt to reach its guest; None: not tried."""

    path: Path
    guest: tuple[Target, Attempt] | None = None


def policy_rules(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rules of a policy in a services file, in the order in which they apply.

    Each has its fields, its ``origin``, and in ``needs`` the consents that the policy lacks. Raises
    ComponentError if the policy is not valid here: the agent may have another version.
    """
    try:
        found = policy.policy(entry, presets.load())
    except ValueError as exc:
        raise ComponentError(f"the agent's policy is not valid in this version: {exc}") from exc
    return [
        {
            "origin": rule.origin,
            **policy.rule_entry(rule),
            "needs": sorted(rule.needs() - set(found.consent)),
        }
        for rule in found.rules()
    ]


class OfflineAgent:
    """Reads and writes the database and the service files of the agent of ``conf``."""

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._services = Path(conf.agent.services_dir)
        self._parsed = files.Cache(Path(conf.agent.state_dir) / stored.NAME)

    # -- handovers -------------------------------------------------------------------------

    def handovers(self, limit: int) -> list[HandoverRecord]:
        """The newest handovers, the newest first, as they are on disk."""
        return newest_handovers(self._conf, limit)

    def handover(self, instance: str, request: str | None) -> HandoverRecord | None:
        """One of the newest; of this instance the newest if ``request`` is None."""
        for record in self.handovers(HANDOVERS_LIMIT):
            if record.id.instance == instance and request in {None, record.id.request}:
                return record
        return None

    # -- services --------------------------------------------------------------------------

    def services(self) -> list[dict[str, Any]]:
        """All services by name: the fields of the file."""
        entries = [schema.to_entry(service) for service in files.read(self._services, self._parsed)]
        return sorted(entries, key=lambda entry: str(entry["name"]))

    def add_service(self, entry: Mapping[str, Any], *, check: bool) -> Added:
        """Validate and write one service. ``check``: ask Nova for the guest, and try to reach it.

        A guest that is not reachable is no error.
        """
        service, errors = schema.parse_entry(entry)
        if service is None:
            raise ServicesError(errors)
        guest = asyncio.run(self._check_guest(service)) if check else None
        return Added(files.add(self._services, service, self._parsed), guest)

    async def _check_guest(self, service: Service) -> tuple[Target, Attempt]:
        """Ask Nova for the instance; refuse an address at which another guest is served."""
        try:
            instance = await NovaApi(self._conf).instance(service.instance)
        except NovaUnreachableError as exc:
            raise NovaUnreachableError(
                f"{exc}. 'nova-cachemig-manage doctor' checks [nova]; --no-check adds the service "
                "without asking Nova"
            ) from exc
        target = Target(service.address or resolve.address_in(service, instance), service.port)
        book = AddressBook(Path(self._conf.agent.state_dir) / "addresses.json")
        served = [
            Route(other, Target(address, other.port))
            for other in files.check(self._services, self._parsed)[0]
            if other.name != service.name and (address := other.address or book.find(other))
        ]
        new = {service.name: Route(service, target)}
        for error in resolve.equal_addresses(served, new, book.find).values():
            raise error
        return target, await probe.try_guest(target, timeout=_CONNECT_TIMEOUT)

    def remove_service(self, name: str) -> Path:
        """Remove one service; the file that contained it."""
        return files.remove(self._services, name, self._parsed)

    # -- the engines -----------------------------------------------------------------------

    def engines(self) -> list[EngineStatus]:
        """HAProxy and Varnish, as they run now."""
        return asyncio.run(engine.status(self._conf))

    def stop_engines(self, patience: float | None) -> list[str]:
        """Stop both; the names of those that ran. Raises ComponentError while an agent runs.

        Requests in flight may finish within ``patience`` seconds; None: as long as the engine's
        options let a request take.
        """
        holder = lock.holder(Path(self._conf.agent.state_dir))
        if holder is not None:
            raise ComponentError(
                f"the agent runs (process {holder}) and would start the engines again: stop it "
                "first"
            )
        options = self._conf.engine
        if patience is None:
            patience = options.hold_timeout + options.connect_patience
        return asyncio.run(engine.stop(self._conf, patience))

    def waiting_writes(self) -> int:
        """The number of writes on disk that the guests have not received."""
        try:
            return count_waiting(self._conf)
        except JournalError:  # no agent has run here yet
            return 0

    # -- the journal -----------------------------------------------------------------------

    def writes(
        self, states: Sequence[WriteState], service: str | None = None, *, content: bool = False
    ) -> Iterator[dict[str, Any]]:
        """Every write in these states, by service and position."""
        review, after = self._review(), None
        while True:
            page = review.writes(states, service, after, content=content)
            yield from page["writes"]
            after = page["next"]
            if after is None:
                return

    def write(self, name: str) -> dict[str, Any]:
        """One write with its content."""
        return self._review().write(name)

    def body(self, name: str) -> Iterator[bytes]:
        """The body of a write, chunk by chunk."""
        review, chunk, last = self._review(), 0, False
        while not last:
            found = review.body(name, chunk)
            yield base64.b64decode(found["data"])
            chunk, last = chunk + 1, found["last"]

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again, once it runs."""
        self._review().resend(name, reason, asked_by)

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write."""
        self._review().discard(name, reason, asked_by)

    def _review(self) -> Review:
        return Review(upgraded_engine_of(self._conf), spool_of(self._conf))

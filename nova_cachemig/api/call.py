"""One call of the API as it is declared: method, path, policy, schemas. No I/O.

The dispatcher, the policy table of the tests, the fuzzer and the API reference read the same
declarations.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from nova_cachemig.api import schema
from nova_cachemig.api.access import Caller
from nova_cachemig.api.schema import Schema
from nova_cachemig.model.handover import HandoverRecord
from nova_cachemig.model.write import WriteState

Wire = dict[str, Any]


class State(Protocol):
    """The agent's state. Every method raises ApiError (503) if the agent does not respond."""

    def services(self) -> Sequence[Wire]:
        """All services by name."""

    def handovers(self) -> Sequence[HandoverRecord]:
        """The newest handovers, the newest first."""

    def writes(
        self, states: Sequence[WriteState], service: str | None, after: str | None
    ) -> Iterator[Wire]:
        """The writes in these states, by service and position, behind the write ``after``."""

    def write(self, service: str, position: int) -> Wire | None:
        """One write; None if the journal has none of this name."""

    def resend(self, name: str, reason: str, asked_by: str) -> None:
        """Let the agent send a write in doubt again. Raises ApiError (409)."""

    def discard(self, name: str, reason: str, asked_by: str) -> None:
        """Never send a quarantined write. Raises ApiError (409)."""


class Projects(Protocol):
    """The owners of instances."""

    def of(self, instances: set[str], *, needed: bool) -> Mapping[str, str | None]:
        """The project of each instance; None: Nova knows none.

        Raises ApiError (503) if Nova does not respond and an owner is ``needed``.
        """


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A request that has passed its schemas. ``base``: the URL of the API, without ``/v1``."""

    caller: Caller
    state: State
    projects: Projects
    base: str
    max_limit: int
    arguments: Mapping[str, str] = dataclasses.field(default_factory=dict)
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    body: Wire = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, slots=True)
class Call:
    """One call. ``path`` has its arguments in braces; ``rules`` are the policies that it checks.

    ``response`` None: the response has no body.
    """

    method: str
    path: str
    summary: str
    rules: tuple[str, ...]
    run: Callable[[Request], Wire | None]
    query: Schema = dataclasses.field(default_factory=lambda: schema.NO_QUERY)
    body: Schema | None = None
    response: Schema | None = None
    status: int = 200
    errors: tuple[int, ...] = (400, 401, 403, 406, 503)
    since: str = "1.0"

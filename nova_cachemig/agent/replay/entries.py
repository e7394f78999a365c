"""Converts between the journal's records and the machine's."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

from oslo_config import cfg

from nova_cachemig.agent.journal.queries import QueueState, UnreadableWrite
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.methods import IDEMPOTENT
from nova_cachemig.model.service import Service, WriteMode
from nova_cachemig.model.write import AcceptedWrite, is_conditional
from nova_cachemig.replay.actions import Tell
from nova_cachemig.replay.entry import Entry
from nova_cachemig.replay.state import Limits, State

PROMPT_202 = 1.0  # seconds for which a client waits although a 202 is due


@dataclasses.dataclass(slots=True, eq=False)
class Request:
    """A request from its head to the response to its client: the machine's token."""

    accepted: asyncio.Future[bool]
    """True when the write is on disk, or ``told`` is done. False if that takes too long."""
    told: asyncio.Future[Tell]
    key: tuple[str, str] | None = None  # digest and fingerprint
    is_connected: Callable[[], bool] = lambda: True
    position: int = 0
    gone: bool = False

    def resolve(self, known: bool) -> None:
        """Set ``accepted``, unless that was done."""
        if not self.accepted.done():
            self.accepted.set_result(known)

    def tell(self, tell: Tell) -> None:
        """Set the outcome, unless that was done."""
        if not self.told.done():
            self.told.set_result(tell)
        self.resolve(True)


def limits(conf: cfg.ConfigOpts, service: Service, send_window: int) -> Limits:
    """Return the machine's limits from the options. ``send_window``: see there."""
    journal = conf.journal
    watch = min(min(journal.response_timeout, journal.response_time) / 4, 0.5)
    return Limits(
        hold_timeout=journal.hold_timeout,
        # Half of it: a write that the edge holds for a drain must not get 503.
        drain_time=conf.engine.hold_timeout / 2,
        prompt_202=PROMPT_202,
        keep_patience=PROMPT_202,
        send_window=send_window,
        # A header of the PROXY protocol names one client for a connection.
        pipeline=1 if service.send_proxy else journal.pipeline,
        parallel=journal.parallel,
        reuse_idle=journal.reuse_idle,
        response_timeout=journal.response_timeout,
        response_time=journal.response_time,
        resend_tries=journal.resend_tries,
        resend_time=journal.resend_time,
        busy_time=journal.resend_time,
        watch=watch,
    )


def state_of(
    found: QueueState, bounds: Limits, *, resent_through: int, resume_delay: float
) -> State:
    """Return the state of a machine at its start. ``found``: the service in the journal."""
    newest = found.next - 1 if found.waiting else 0
    return State(
        bounds,
        next=found.next,
        send_limit=found.send_limit,
        serialized_through=found.next - 1,
        resent_through=resent_through,
        resume_delay=resume_delay,
        newest=newest,
        on_disk=newest > 0,
        waiting=found.waiting,
        waiting_bytes=found.waiting_bytes,
        in_doubt=found.in_doubt,
    )


def entry_of(write: AcceptedWrite | UnreadableWrite, service: Service) -> Entry:
    """Return what the machine sees of a write in the journal."""
    if isinstance(write, UnreadableWrite):
        entry = Entry(write, "", None, idempotent=False, keyed=False, damaged=write.why)
        entry.position = write.position
        return entry
    entry = Entry(
        write,
        client=write.client,
        page=write.url,
        idempotent=write.method in IDEMPOTENT,
        keyed=write.key_honoured,
        length=write.body.length,
        large=write.body.spool is not None,
        early=service.writes is WriteMode.ACCEPT or write.has_status_url,
        conditional=is_conditional(write.headers),
        keep=write.client_key,
        also=changed_urls(write.url, write.headers),
    )
    entry.position, entry.late = write.position, write.late
    return entry

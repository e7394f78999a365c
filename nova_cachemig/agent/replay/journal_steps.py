"""The machine's actions on the journal."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import logging
import time
from collections.abc import Callable
from typing import cast

from nova_cachemig.agent.journal.errors import AcceptanceUnknown, JournalError
from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.entries import Request, entry_of
from nova_cachemig.agent.replay.performer import Performer
from nova_cachemig.model.service import Service
from nova_cachemig.model.write import GuestResponse
from nova_cachemig.replay import actions as act
from nova_cachemig.replay.entry import Entry

LOG = logging.getLogger(__name__)

_Error = BaseException | None


class JournalSteps:
    """The steps of one service."""

    def __init__(
        self, performer: Performer, journal: Journal, service: Callable[[], Service]
    ) -> None:
        """``service`` returns its present description."""
        self.longest_wait = 0.0  # seconds from the acceptance to a response
        self._performer = performer
        self._machine = performer.machine
        self._journal = journal
        self._service = service
        performer.do |= {
            act.Append: self._append,
            act.Move: self._move,
            act.RaiseLimit: self._raise_limit,
            act.Load: self._load,
            act.CheckBody: self._check_body,
            act.LogResponse: lambda a: journal.log_response(a.entry.write, a.response),
            act.Record: self._record,
            act.Keep: self._keep,
            act.Quarantine: self._quarantine,
            act.Abandon: self._abandon,
        }

    def _append(self, a: act.Append) -> None:
        entry, position = a.entry, a.entry.position
        request = cast(Request, entry.token)
        entry.write = entry.write(position, entry.late)
        request.position = position
        done = functools.partial(self._appended, entry, request, a.send_limit)
        withdrawn = functools.partial(self._withdrawn, position)
        self._journal.append(entry.write, a.send_limit, request.key, done, withdrawn)

    def _appended(
        self, entry: Entry, request: Request, send_limit: int | None, error: _Error
    ) -> None:
        now, position = self._performer.now(), entry.position
        totals = self._journal.totals
        if error is None:
            totals.accepted += 1
            self._performer.perform(self._machine.appended(position, now, send_limit))
            request.resolve(True)
            if request.gone:
                self._performer.perform(self._machine.gone(position))
        elif isinstance(error, AcceptanceUnknown):
            totals.unknown += 1
            LOG.error("%s", error)
            self._performer.perform(self._machine.unknown(position))
        else:
            totals.refused += 1
            LOG.error("%s", error)
            self._journal.remove_body(entry.write.body)
            self._performer.perform(
                self._machine.refused(position, "This write was not accepted.", now)
            )

    def _withdrawn(self, position: int) -> None:
        self._performer.perform(self._machine.known(position, False, self._performer.now()))

    def _move(self, a: act.Move) -> None:
        entry = a.entry
        entry.write = dataclasses.replace(entry.write, position=entry.position, late=entry.late)

        def done(error: _Error) -> None:
            if error is None:
                self._journal.totals.accepted += 1
                self._performer.perform(
                    self._machine.appended(entry.position, self._performer.now())
                )
            else:
                LOG.error("Write %s cannot be sent again yet: %s", entry.write.name, error)
                self._performer.perform(
                    self._machine.move_failed(entry.position, self._performer.now())
                )

        self._journal.move(a.old, entry.write, done)

    def _raise_limit(self, a: act.RaiseLimit) -> None:
        def done(error: _Error) -> None:
            if error is None:
                self._performer.perform(self._machine.limit_raised(a.limit, self._performer.now()))
            else:
                LOG.error("Cannot raise the send limit of %s: %s", self._service().name, error)
                self._performer.perform(self._machine.limit_failed(self._performer.now()))

        self._journal.raise_send_limit(self._service().name, a.limit, done)

    def _load(self, a: act.Load) -> None:
        self._performer.spawn(self._read(a.after, a.count), "replay backlog")

    async def _read(self, after: int, count: int) -> None:
        try:
            rows = await self._journal.waiting(self._service().name, after, count)
        except JournalError as exc:
            LOG.debug("Cannot read the next writes yet: %s", exc)
            self._performer.perform(self._machine.load_failed(self._performer.now()))
            return
        entries = []
        for row in rows:
            # One per turn of the loop: a response that has arrived does not wait for all of them.
            await asyncio.sleep(0)
            entries.append(entry_of(self._journal.write_from_row(row), self._service()))
        self._performer.perform(self._machine.loaded(entries, self._performer.now()))

    def _check_body(self, a: act.CheckBody) -> None:
        self._performer.spawn(self._check(a.entry), "check")

    async def _check(self, entry: Entry) -> None:
        intact = await asyncio.to_thread(self._journal.spool.intact, entry.write.body)
        self._performer.perform(
            self._machine.checked(entry.position, intact, self._performer.now())
        )

    def _record(self, a: act.Record) -> None:
        self._performer.flush()
        entry, position = a.entry, a.entry.position

        def done(error: _Error) -> None:
            if error is not None:  # the progress log has the response, the client not yet
                LOG.error("The response to %s is not on disk: %s", entry.write.name, error)
                self._performer.perform(
                    self._machine.record_failed(position, self._performer.now())
                )
                return
            wait = max(0.0, time.time() - entry.write.accepted_at)
            self.longest_wait = max(self.longest_wait, wait)
            self._journal.totals.add_response(wait)
            state = self._machine.state
            if position in state.clients or position in state.departing:
                entry.response = self._opened(entry.response)
            elif (tail := entry.response.tail) is not None:
                tail.close()
            self._performer.perform(self._machine.recorded(position, self._performer.now()))

        self._journal.record_response(
            entry.write, a.response, keep=a.keep, can_wait=a.can_wait, done=done
        )

    def _opened(self, response: GuestResponse) -> GuestResponse:
        """Open the body's spool file, because it is deleted if the journal does not keep it."""
        if response.body.spool is None:
            return response
        try:
            content = self._journal.spool.open(response.body.spool)
        except OSError as exc:
            LOG.error("Cannot read the body of a response: %s", exc)
            lost = ("cachemig-write", "responded; its body could not be read")
            return GuestResponse(response.status, (*response.headers, lost))
        body = dataclasses.replace(response.body, content=content)
        return dataclasses.replace(response, body=body)

    def _keep(self, a: act.Keep) -> None:
        def done(error: _Error) -> None:
            if error is None:
                self._performer.perform(self._machine.kept(a.position))
            else:
                LOG.warning("The response to %d may not be kept: %s", a.position, error)

        self._journal.keep_response(self._service().name, a.position, done)

    def _quarantine(self, a: act.Quarantine) -> None:
        position = a.entry.position
        LOG.warning("Write %s/%s is quarantined: %s", self._service().name, position, a.why)

        def done(error: _Error) -> None:
            if error is None:
                self._journal.totals.in_doubt += 1
                self._performer.perform(self._machine.quarantined(position, self._performer.now()))
            else:
                LOG.error("Cannot quarantine %s/%s: %s", self._service().name, position, error)
                self._performer.perform(
                    self._machine.quarantine_failed(position, self._performer.now())
                )

        self._journal.set_state(self._service().name, position, a.state, a.why, done)

    def _abandon(self, a: act.Abandon) -> None:
        LOG.warning("Writes of %s are quarantined: %s", self._service().name, a.why)

        def done(error: _Error) -> None:
            if error is None:
                self._journal.totals.in_doubt += self._machine.state.abandoned
                self._performer.perform(self._machine.abandoned(self._performer.now()))
            else:
                LOG.error("Cannot quarantine the writes of %s: %s", self._service().name, error)
                self._performer.perform(self._machine.abandon_failed(self._performer.now()))

        self._journal.abandon(self._service().name, a.through, a.why, a.sent, done)

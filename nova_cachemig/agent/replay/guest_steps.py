"""The machine's actions on the connections to the guest, and the events that they report."""

from __future__ import annotations

import logging
from typing import cast

from nova_cachemig.agent.journal.store import Journal
from nova_cachemig.agent.replay.links import Links
from nova_cachemig.agent.replay.performer import Performer
from nova_cachemig.agent.replay.reports import End
from nova_cachemig.model.service import Target
from nova_cachemig.model.write import GuestResponse
from nova_cachemig.replay import actions as act

LOG = logging.getLogger(__name__)


class GuestSteps:
    """The steps of one service. :class:`Links` reports to it: see :class:`links.Events`."""

    links: Links

    def __init__(self, performer: Performer, journal: Journal) -> None:
        """Set :attr:`links` before the first action."""
        self._performer = performer
        self._machine = performer.machine
        self._journal = journal
        self._gate = 0  # the machine's count of its changes
        performer.on_turn = self._on_turn
        performer.flush = self._flush
        performer.do |= {
            act.Connect: self._connect,
            act.StopConnecting: self._stop_connecting,
            act.Close: self._close,
            act.Send: self._send,
        }

    def _flush(self) -> None:
        self.links.flush()

    def _on_turn(self) -> None:
        self.links.flush()
        state = self._machine.state
        if state.gate != self._gate:
            self._gate = state.gate
            if state.gate_open:
                self.links.retransmit()
            else:
                self.links.stop_retransmitting()

    def _connect(self, a: act.Connect) -> None:
        self.links.connect(cast(Target, a.target))

    def _stop_connecting(self, _a: act.StopConnecting) -> None:
        self.links.stop_connecting()

    def _close(self, a: act.Close) -> None:
        name = a.connection
        if not isinstance(name, int):
            return
        if a.report:
            self.links.break_off(name, a.why)
        else:
            self.links.close(name)

    def _send(self, a: act.Send) -> None:
        entry, name = a.entry, a.connection
        if entry.connection is None or entry.connection.id != name or not isinstance(name, int):
            return  # one before it was not sent
        try:
            self._journal.log_sent(entry.write)
        except OSError as exc:
            LOG.error("Cannot log the progress, so nothing is sent: %s", exc)
            now = self._performer.now()
            self._performer.perform(self._machine.not_logged(name, entry.position, now))
            return
        self.links.send(name, entry.write)

    def on_connected(self, name: int, target: Target) -> None:
        """See :class:`Events`."""
        self._performer.perform(self._machine.connected(name, target, self._performer.now()))

    def on_part(self, name: int) -> None:
        """See :class:`Events`."""
        self._machine.heard(name, self._performer.now())

    def on_response(
        self, name: int, response: GuestResponse, *, keep_alive: bool, idle_timeout: float | None
    ) -> None:
        """See :class:`Events`."""
        actions = self._machine.response(
            name, response, self._performer.now(), keep_alive=keep_alive, idle_timeout=idle_timeout
        )
        self._performer.perform(actions)
        if response.body.spool is not None and not any(isinstance(a, act.Record) for a in actions):
            self._journal.remove_body(response.body)  # it is not the final one

    def on_end(self, name: int, end: End) -> None:
        """See :class:`Events`."""
        connection = self._machine.state.connections.get(name)
        if connection is not None:
            unsent = len(connection.in_flight) - end.unanswered
            self._performer.perform(
                self._machine.lost(
                    name,
                    self._performer.now(),
                    end.why,
                    unsent=unsent,
                    processed=end.processed,
                    blame=end.blame,
                )
            )

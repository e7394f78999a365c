"""The edge and the journal together, in a handover, before the guest's first silence."""

from __future__ import annotations

from nova_cachemig.agent import noop
from nova_cachemig.agent.manager.components import Components, Timeouts
from nova_cachemig.agent.manager.performer import Performer
from nova_cachemig.agent.writes import Writes
from nova_cachemig.handover.actions import Action
from nova_cachemig.handover.events import Event
from nova_cachemig.model.handover import HandoverId
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.service import Route
from tests.functional.engine.rig import INSTANCE, EngineCase
from tests.functional.replay.path import conf_for

_SHIELD = (Action.HOLD_WRITES, Action.SET_EDGE)
_BACK = (Action.SEND_WRITES, Action.SET_EDGE, Action.RESEND_LOST, Action.WAIT_CAUGHT_UP)


class ArmedCase(EngineCase):
    """``self.edge`` serves ``self.guest``; ``self.writes`` is the real write path."""

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.service = self.a_service("shop")
        await self.engine.apply([self.route(self.service)])
        await self.intake.stop()
        (self.root / "state").mkdir()
        self.writes = Writes(
            conf_for(self.root / "state", intake_socket=self.intake_socket), edge=self.engine
        )
        await self.writes.start()
        self.addAsyncCleanup(self.writes.stop)
        await self.server_is("agent/intake", "UP")
        self.events: list[Event] = []
        self.performer = Performer(
            Components(
                self.engine,
                self.writes,
                noop.NoWarmer(),
                noop.NoProber(),
                noop.NoHandoverStore(),
                noop.NoNova(),
                Timeouts(warm=5.0, ask_nova_after=60.0, deadline=3600.0),
            ),
            HandoverId(INSTANCE, "req-1"),
            (Route(self.service, self.guest.target),),
            0.0,
            self.events.append,
            self.fail,
        )
        self.addAsyncCleanup(self.performer.stop)
        for action in (Action.OPEN_WRITES, Action.SEND_WRITES, Action.SET_EDGE):
            await self.performer.perform(action, Phase.WARMING)

    async def shield(self) -> None:
        """Do as the manager does when the guest is paused."""
        for action in _SHIELD:
            await self.performer.perform(action, Phase.SHIELDED)

    async def back(self) -> None:
        """Do as the manager does when the guest is reachable again."""
        for action in _BACK:
            await self.performer.perform(action, Phase.REPLAYING)

    async def rearm(self) -> None:
        """Do as the manager does when the journal is empty and the migration is not over."""
        await self.performer.perform(Action.REARM, Phase.REPLAYING)

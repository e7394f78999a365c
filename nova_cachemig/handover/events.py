"""One event of a handover, as the machine takes it."""

from __future__ import annotations

import dataclasses

from nova_cachemig.model.event import EventKind


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """``at`` is in UNIX seconds; ``detail`` is shown to an operator behind the sentence."""

    kind: EventKind
    at: float
    detail: str = ""
    post_copy: bool = False  # of PAUSED and RESUMED: memory is still to follow

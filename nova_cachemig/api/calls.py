"""All calls of the API."""

from __future__ import annotations

from typing import Final

from nova_cachemig.api import handovers, services, writes

CALLS: Final = (*services.CALLS, *handovers.CALLS, *writes.CALLS)

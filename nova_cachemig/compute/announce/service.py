"""Starts the early announcement in the process that watches guests, if it may announce."""

from __future__ import annotations

import logging
import threading
from typing import Final

from oslo_config import cfg

from nova_cachemig.compute.announce.announcer import Announcer
from nova_cachemig.rpc import announce as contract
from nova_cachemig.rpc.faults import Faults

LOG = logging.getLogger(__name__)

_OFF: Final = "cachemig: guests are not announced early: %s"
_FIRST_LIMIT: Final = 60.0
"""Seconds for the bus to respond, after which the first pause opens the connection."""


def start(conf: cfg.ConfigOpts, topic: str, host: str, url: str | None) -> Announcer | None:
    """Listen to the other hosts. None if this process may not announce: one line says why."""
    try:
        return _start(conf, topic, host, url)
    except Exception as exc:  # fail open: guests are watched anyway
        LOG.warning(_OFF, f"{type(exc).__name__}: {exc}")
        return None


def _start(conf: cfg.ConfigOpts, topic: str, host: str, url: str | None) -> Announcer | None:
    from nova_cachemig.compute.announce import tap  # pyroute2 is loaded only where it is used

    if missing := tap.missing_capabilities():
        LOG.warning(
            _OFF,
            f"nova-compute lacks {' and '.join(missing)}. Add nova-cachemig's drop-in to its "
            "unit, or set [cachemig_announce] enabled = false",
        )
        return None
    tap.remove_remains()
    faults = Faults()
    client = contract.AnnounceClient(conf, topic, host, url, faults)
    announcer = Announcer(client.paused, tap.TapPort, faults)

    def malformed(why: str) -> None:
        faults.note("a host sent a malformed request", why)

    server = contract.server(conf, topic, host, url, announcer.heard, malformed, faults)
    server.start()

    def warm_up() -> None:
        if server.wait_listening(_FIRST_LIMIT):
            client.warm_up()

    threading.Thread(target=warm_up, name="cachemig-announce-bus", daemon=True).start()
    LOG.info("cachemig: guests are announced early")
    return announcer

"""The process beside nova-compute that listens to libvirt and tells the agent.

It is a process and not a thread because neither of nova-compute's own event paths is in time. With
eventlet, an RPC waits its turn among all of nova-compute's green threads; with native threads,
Nova handles its own lifecycle events, with RPCs and the database behind them, in the one
thread that runs libvirt's event loop, and a process has one such loop. A process can neither
delay nova-compute nor be delayed by it, and what may crash libvirt's client crashes only it.

It is started by :mod:`nova_cachemig.compute.watcher`, gets its settings as one line of JSON on its
standard input (a line and not arguments: there is a password in it), writes its log as JSON lines
to its standard output, and ends when its standard input does: with nova-compute, however that ends.
"""

from __future__ import annotations

import json
import logging
import logging.handlers
import os
import queue
import sys
import threading
from typing import Any, Final

from oslo_config import cfg

from nova_cachemig.compute.libvirt_watch import LibvirtWatch
from nova_cachemig.rpc.agent import AgentClient

NO_LIBVIRT: Final = 3
"""Exit status: it makes no sense to start this process again."""
_LINES: Final = 1000
_SWITCH: Final = 0.0005
"""Seconds for which the thread that sends may be kept waiting by another that computes."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps({"level": record.levelno, "message": super().format(record)})


def _log_to_stdout() -> logging.handlers.QueueListener:
    """By a thread of its own: nova-compute may be slow to read, and events must not wait for it."""
    writer = logging.StreamHandler(sys.stdout)
    writer.setFormatter(_JsonLines("%(name)s: %(message)s"))
    lines: queue.Queue[logging.LogRecord] = queue.Queue(_LINES)
    logging.basicConfig(handlers=[logging.handlers.QueueHandler(lines)], level=logging.INFO)
    logging.raiseExceptions = False  # a line for which there is no room is lost
    listener = logging.handlers.QueueListener(lines, writer)
    listener.start()
    for name in ("oslo.messaging", "oslo_messaging", "amqp", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return listener


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)  # nothing here needs an orderly end, and libvirt's loop would delay it


def _client(settings: dict[str, Any], arguments: list[str]) -> AgentClient:
    conf = cfg.ConfigOpts()
    conf(arguments, project="nova", default_config_files=[], default_config_dirs=[])
    return AgentClient(conf, settings["topic"], transport_url=settings["transport_url"])


def main() -> int:
    """Run until the standard input ends."""
    settings = json.loads(sys.stdin.readline())
    sys.setswitchinterval(_SWITCH)
    listener = _log_to_stdout()
    try:
        import libvirt
    except ImportError as exc:
        logging.getLogger(__name__).error("guests are not watched: %s", exc)
        listener.stop()
        return NO_LIBVIRT
    threading.Thread(target=_end_with_parent, daemon=True).start()
    client = _client(settings, sys.argv[1:])
    client.warm_up()
    watch = LibvirtWatch(
        libvirt,
        settings["uri"],
        settings["host"],
        lambda event: client.guest_event({}, event),
        client.warm_up,
        client.faults,
    )
    watch.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

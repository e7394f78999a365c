"""The child process of nova-compute that listens to libvirt and reports to the agent.

It is a process, not a thread, because both of nova-compute's own event paths are too slow. With
eventlet, an RPC waits for its turn among all of nova-compute's green threads. With native threads,
Nova handles its own lifecycle events, including RPC and database calls, in the thread that runs
libvirt's event loop. A process has only one such loop. A separate process neither delays
nova-compute nor is delayed by it, and a crash of libvirt's client library ends only that process.

:mod:`nova_cachemig.compute.watcher` starts it and writes its settings to its standard input as one
line of JSON. (They are not arguments because the transport URL has a password in it.) The
process writes its log to standard output, one JSON object a line, and ends when its standard input
is closed, so that it never outlives nova-compute.
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

from nova_cachemig.compute.announce import service
from nova_cachemig.compute.announce.announcer import Announcer
from nova_cachemig.compute.libvirt_watch import LibvirtWatch
from nova_cachemig.rpc.agent_client import AgentClient

NO_LIBVIRT: Final = 3
"""Exit status: libvirt-python is missing, so a restart is of no use."""
_LINES: Final = 1000
"""Log records that wait for nova-compute to read them; more are dropped."""
_END_LIMIT: Final = 2.0
"""Seconds for which the end may wait for devices to be removed."""
_SWITCH: Final = 0.0005
"""Seconds that another thread may keep the sending thread from running."""


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {"level": record.levelno, "logger": record.name, "message": super().format(record)}
        return json.dumps(line)


class _Unformatted(logging.handlers.QueueHandler):
    """Leaves the formatting to the thread that writes."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record


def _log_to_stdout() -> logging.handlers.QueueListener:
    """Write the log in a separate thread: events must not wait for nova-compute to read it."""
    writer = logging.StreamHandler(sys.stdout)
    writer.setFormatter(_JsonLines())
    records: queue.Queue[logging.LogRecord] = queue.Queue(_LINES)
    logging.basicConfig(handlers=[_Unformatted(records)], level=logging.INFO)
    logging.raiseExceptions = False  # a record is dropped in silence when the queue is full
    listener = logging.handlers.QueueListener(records, writer)
    listener.start()
    for name in ("oslo.messaging", "oslo_messaging", "amqp", "kombu"):
        logging.getLogger(name).setLevel(logging.WARNING)
    return listener


def _end_with_parent(announcer: Announcer | None) -> None:
    sys.stdin.read()
    if announcer is not None:
        closing = threading.Thread(target=announcer.close, daemon=True)
        closing.start()
        closing.join(_END_LIMIT)
    os._exit(0)  # nothing else needs to be closed, and libvirt's loop would take up to a second


def _conf(arguments: list[str]) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    conf(arguments, project="nova", default_config_files=[], default_config_dirs=[])
    return conf


def _announcer(conf: cfg.ConfigOpts, settings: dict[str, Any]) -> Announcer | None:
    topic = settings.get("announce_topic")
    if topic is None:
        return None
    return service.start(conf, topic, settings["host"], settings["transport_url"])


def main() -> int:
    """Run until standard input is closed."""
    settings = json.loads(sys.stdin.readline())
    sys.setswitchinterval(_SWITCH)
    listener = _log_to_stdout()
    try:
        import libvirt
    except ImportError as exc:
        logging.getLogger(__name__).error("cachemig: guests are not watched: %s", exc)
        listener.stop()
        return NO_LIBVIRT
    conf = _conf(sys.argv[1:])
    client = AgentClient(conf, settings["topic"], transport_url=settings["transport_url"])
    client.warm_up()
    announcer = _announcer(conf, settings)
    threading.Thread(target=_end_with_parent, args=(announcer,), daemon=True).start()
    watch = LibvirtWatch(
        libvirt,
        settings["uri"],
        settings["host"],
        lambda event: client.guest_event({}, event),
        client.warm_up,
        client.faults,
        announcer,
    )
    watch.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

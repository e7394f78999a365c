"""The notification driver: receives Nova's notifications of migrations, changes and load.

Switched on by one more line ``driver = cachemig`` in ``[oslo_messaging_notifications]`` of
nova.conf. Nova calls it in the thread that does the migration. It fails open: every error is
counted and logged once, and Nova continues.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from oslo_config import cfg
from oslo_log import log
from oslo_messaging.notify import notifier

from nova_cachemig.compute import agent_link, change, metrics, notification, watcher
from nova_cachemig.compute.hook import MigrationHook
from nova_cachemig.conf import announce, values
from nova_cachemig.conf import compute as options
from nova_cachemig.rpc.faults import Faults
from nova_cachemig.rpc.samples import SamplesClient

LOG = log.getLogger(__name__)


class CachemigDriver(notifier.Driver):
    """Every process of Nova creates one; it acts in nova-compute only, from the first migration on.

    Nova creates one driver per notifier. With ``notification_format = both`` there are two, and
    each event is published twice. The driver then reads the versioned notifications only.
    """

    def __init__(self, conf: cfg.ConfigOpts, topics: list[str], transport: object) -> None:
        super().__init__(conf, topics, transport)
        self._faults = Faults()
        self._lock = threading.Lock()
        self._hook: MigrationHook | None = None
        self._samples: SamplesClient | None = None
        self._announced = False
        self._replaced: list[str] = []
        """Sentences on options that are not valid, to be logged once logging works."""
        try:
            for group in (options, announce):
                group.register(conf)
                self._replaced += values.use_defaults(conf, group.GROUP.name)
            watcher.start_once(conf, self._ready)
        except Exception:
            self._faults.note("guests are not watched", "starting failed", trace=True)

    def notify(self, ctxt: Any, message: Any, priority: str, retry: int | None) -> None:
        """Handle any notification of Nova's. Waits at live_migration_pre.end only.

        A BaseException passes. None is raised here, since RPC runs in separate threads. So it is
        the caller's, for instance an eventlet timeout.
        """
        try:
            self._announce()
            event_type, versioned = message.get("event_type"), self._versioned()
            if notification.is_relevant(event_type, versioned=versioned):
                context = ctxt if isinstance(ctxt, Mapping) else {}
                self._the_hook().handle(notification.read(context, message))
            elif change.is_relevant(event_type, versioned=versioned):
                context = ctxt if isinstance(ctxt, Mapping) else {}
                self._link().report(change.read(context, message))
            elif metrics.is_relevant(event_type, versioned=versioned):
                self._report(message["payload"])
        except Exception as exc:
            self._faults.note(f"a notification was lost ({type(exc).__name__})", exc, trace=True)

    def _report(self, payload: Mapping[str, Any]) -> None:
        ours = self.conf.cachemig
        reading = metrics.read(payload) if ours.report_load else None
        if reading is None:
            return
        with self._lock:
            if self._samples is None:
                topic, url = ours.samples_topic, ours.transport_url
                self._samples = SamplesClient(self.conf, topic, url, self._faults)
        self._samples.report(reading)

    def _versioned(self) -> bool:
        try:
            return str(self.conf.notifications.notification_format) != "unversioned"
        except (cfg.NoSuchOptError, cfg.NoSuchGroupError):
            return True  # not Nova's conf

    def _the_hook(self) -> MigrationHook:
        with self._lock:
            if self._hook is None:
                self._hook = self._link().hook
            return self._hook

    def _link(self) -> agent_link.AgentLink:
        return agent_link.of(self.conf, self.transport, self._faults)

    def _ready(self) -> None:
        """Called once, in nova-compute only, when its logging works; not in a thread of Nova's."""
        self._announce()
        self._link().pings.start()

    def _announce(self) -> None:
        """Log once that the driver is loaded: Nova ignores a misspelt ``driver`` line silently.

        Not in the constructor: Nova creates drivers before it configures logging.
        """
        if self._announced or not watcher.logging_works():
            return
        self._announced = True
        for sentence in self._replaced:
            LOG.error("cachemig: %s. The default is used instead", sentence)
        ours = self.conf.cachemig
        LOG.info(
            "cachemig: enabled: topic %s, warm_timeout %d s, rpc_timeout %.1f s, watch_guests %s",
            ours.topic,
            ours.warm_timeout,
            ours.rpc_timeout,
            ours.watch_guests,
        )

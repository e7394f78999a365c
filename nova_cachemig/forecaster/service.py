"""The entry point of ``nova-cachemig-forecaster``."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import Final

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.conf import forecaster, gnocchi, metrics, setup, telemetry
from nova_cachemig.forecaster.daemon import ConfigError, Daemon
from nova_cachemig.forecaster.endpoint import Endpoint
from nova_cachemig.forecaster.metrics import listener
from nova_cachemig.rpc import bus
from nova_cachemig.rpc import forecaster as contract
from nova_cachemig.systemd import Notifier

LOG = log.getLogger(__name__)

PROG: Final = "nova-cachemig-forecaster"
_DESCRIPTION: Final = (
    "Run the forecaster of nova-cachemig: it collects the load of the compute hosts, predicts it, "
    "and sends the forecasts to the weighers in nova-scheduler. It reads "
    f"{setup.FILE} unless --config-file names another file, and runs until SIGTERM."
)


def configure(args: Sequence[str]) -> cfg.ConfigOpts:
    """Read the command line and nova-cachemig.conf; raises oslo_config.cfg.Error."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    files = cfg.find_config_files(setup.PROJECT)
    setup.read(conf, files, args, register=register, prog=PROG, description=_DESCRIPTION)
    bus.require_url(conf, conf.forecaster.transport_url)
    log.setup(conf, setup.PROJECT)
    return conf


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of the forecaster."""
    telemetry.register(conf)
    gnocchi.register(conf)
    forecaster.register(conf)
    metrics.register(conf)


def run(args: Sequence[str]) -> int:
    """Run until SIGTERM or SIGINT; return the exit status. Prints one sentence on a bad start."""
    try:
        conf = configure(args)
        daemon = Daemon(conf)
    except (cfg.Error, ConfigError) as exc:
        print(f"{PROG}: {exc}", file=sys.stderr)
        return setup.EXIT_CODE
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    options = conf.forecaster
    server = contract.server(
        conf, options.topic, options.host, options.transport_url, Endpoint(daemon)
    )
    systemd = Notifier()
    address = conf.metrics.forecaster_listen
    served = None if address is None else listener(address, daemon, server)
    daemon.start()
    server.start()
    if served is not None:
        served.start()
    systemd.ready()
    LOG.info("forecasting %s every %d s", options.metric, options.interval)

    def report() -> None:
        hosts = len(daemon.latest.snapshot.hosts) if daemon.latest else 0
        bus = "listening" if server.listening else f"not listening: {server.why_not or 'not yet'}"
        systemd.status(f"forecast of {hosts} hosts; {bus}")

    report()
    daemon.run(report)
    systemd.stopping()
    if served is not None:
        served.stop()
    server.stop()
    return 0

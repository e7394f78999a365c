"""The program ``nova-cachemig-agent``."""

from __future__ import annotations

import asyncio
import signal
import sys

import uvloop
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.service import Agent
from nova_cachemig.conf import setup

LOG = log.getLogger(__name__)


async def _run(conf: cfg.ConfigOpts) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Agent(conf).run(stop)


def main() -> int:
    """Run until SIGTERM or SIGINT; 1 with one clear line if it cannot begin."""
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    try:
        setup.read(conf, cfg.find_config_files("nova-cachemig"), sys.argv[1:])
    except cfg.Error as exc:
        print(f"nova-cachemig-agent: {exc}", file=sys.stderr)
        return 1
    log.setup(conf, "nova-cachemig")
    try:
        uvloop.run(_run(conf))  # what benchmarks/journal measures
    except ComponentError as exc:
        LOG.error("%s", exc)
        print(f"nova-cachemig-agent: {exc}", file=sys.stderr)
        return 1
    return 0

"""The program ``nova-cachemig-agent``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Final

import uvloop
from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent import nova
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.agent.service import Agent
from nova_cachemig.conf import setup
from nova_cachemig.rpc import bus
from nova_cachemig.systemd import Notifier

LOG = log.getLogger(__name__)

PROG: Final = "nova-cachemig-agent"
_DESCRIPTION: Final = (
    "Run the agent of nova-cachemig on this cache node: it controls HAProxy and Varnish, keeps the "
    "journal of writes, and protects the defined services while their instances live-migrate. It "
    f"reads {setup.FILE} unless --config-file names another file, and runs until SIGTERM."
)


async def _run(conf: cfg.ConfigOpts) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Agent(conf, Notifier()).run(stop)


def main() -> int:
    """Run until SIGTERM or SIGINT; the exit code.

    2 if the configuration is wrong, 1 if a component fails; both with one line on standard error.
    """
    conf = cfg.ConfigOpts()
    log.register_options(conf)
    files = cfg.find_config_files(setup.PROJECT)
    try:
        setup.read(conf, files, sys.argv[1:], prog=PROG, description=_DESCRIPTION)
        bus.require_url(conf)
        nova.require_auth(conf)
    except (cfg.Error, ComponentError) as exc:
        print(f"{PROG}: {exc}", file=sys.stderr)
        return setup.EXIT_CODE
    log.setup(conf, "nova-cachemig")
    if os.geteuid() == 0:
        LOG.warning(
            "the agent runs as root, and so do HAProxy and Varnish, which serve the Internet: "
            "give them a separate account with ambient capabilities (User= in the systemd unit)"
        )
    try:
        uvloop.run(_run(conf))  # what benchmarks/journal measures
    except ComponentError as exc:
        LOG.error("%s", exc)
        print(f"{PROG}: {exc}", file=sys.stderr)
        return 1
    return 0

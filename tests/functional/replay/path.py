"""A write path in a temporary directory, and clients for its socket."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
from oslo_config import cfg

from nova_cachemig.agent.writes import Writes
from nova_cachemig.conf import agent as agent_conf
from nova_cachemig.conf import engine as engine_conf
from nova_cachemig.conf import journal as journal_conf
from nova_cachemig.model.service import Service, WriteMode


def conf_for(directory: str | Path, **journal: Any) -> cfg.ConfigOpts:
    """Return an operator's options, with the state in ``directory``."""
    conf = cfg.ConfigOpts()
    agent_conf.register(conf)
    engine_conf.register(conf)
    journal_conf.register(conf)
    conf([], default_config_files=[])
    conf.set_override("state_dir", str(directory), "agent")
    for name, value in journal.items():
        conf.set_override(name, value, "journal")
    return conf


def service(name: str = "shop", **facts: Any) -> Service:
    """Return a service for the tests."""
    return Service(
        name=name,
        instance="5f3c0b6a-0000-4000-8000-000000000001",
        port=8080,
        listen=("192.0.2.1", 80),
        writes=facts.pop("writes", WriteMode.HOLD),
        **facts,
    )


def client(socket: str, name: str = "shop", who: str = "10.0.0.1") -> httpx.AsyncClient:
    """Return an HTTP client that sends requests like the edge's."""
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=socket, verify=False),
        base_url="http://shop.example",
        headers={"X-Cachemig-Service": name, "X-Cachemig-Client": who},
        timeout=30.0,
    )


def keeps_connections(writes: Writes, name: str = "shop") -> None:
    """Make the agent believe that the guest was seen to keep idle connections open."""
    writes._replay(name).machine.state.kept_idle = 60.0


async def reached(writes: Writes, count: str, number: int, name: str = "shop") -> None:
    """Return once a service's count is at least ``number``; fail after 20 s."""
    async with asyncio.timeout(20):
        while getattr(await writes.counts(name), count) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.001)

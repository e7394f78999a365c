"""Varnish: its file and its process. It is told nothing while it runs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import files, render
from nova_cachemig.agent.engine.process import Process, check, program
from nova_cachemig.agent.engine.supervisor import Supervisor

LOG = log.getLogger(__name__)

PARAMETERS = {
    "default_ttl": "0.001",  # no freshness information: stale at once, see the VCL
    "default_grace": "0",
    "default_keep": "0",
    # A request holds a thread only while it is worked on or waits for its own fetch. HAProxy holds
    # the others.
    "thread_pools": "1",
    "thread_pool_min": "50",
    "thread_pool_max": "4000",
    "thread_queue_limit": "2000",
    "thread_pool_stack": "64k",
    "workspace_client": "128k",
    "workspace_backend": "128k",
    # As much as HAProxy lets through.
    "http_max_hdr": "192",
    "http_req_hdr_len": "16k",
    "http_req_size": "48k",
    "http_resp_hdr_len": "16k",
    "http_resp_size": "48k",
    "vsl_space": "8m",
}


class Cache:
    """One Varnish for all services."""

    def __init__(self, conf: cfg.ConfigOpts, paths: render.Paths) -> None:
        self._conf = conf
        self._paths = paths
        self._process: Process | None = None
        self._supervisor: Supervisor | None = None

    @property
    def pid(self) -> int | None:
        """Of Varnish's manager process."""
        return self._process.pid if self._process else None

    def _argv(self) -> list[str]:
        opts = self._conf.engine
        argv = [program(opts.varnishd, "varnishd"), *opts.varnishd_args, "-F"]
        argv += ["-n", str(self._paths.varnish_dir), "-f", str(self._paths.vcl)]
        argv += ["-a", f"edge={self._paths.socket('varnish')},HTTP,mode=600"]
        argv += ["-s", f"malloc,{opts.cache_size}", "-T", "none"]
        for name, value in PARAMETERS.items():
            argv += ["-p", f"{name}={value}"]
        return argv

    async def start(self) -> None:
        """Take over a Varnish that runs as this agent would run it, or start one."""
        argv = self._argv()
        self._process = Process("varnishd", argv, self._paths.root)
        self._supervisor = Supervisor(
            self._process, lambda: None, self._answers, self._conf.engine.start_timeout
        )
        changed = await self._install()
        if self._process.adopt():
            if not changed and self._process.command() == argv:
                self._supervisor.watch()
                LOG.info("took over Varnish, pid %s", self._process.pid)
                return
            LOG.info("Varnish runs with another configuration: starting it anew")
            await self._process.end(signal.SIGTERM, 5)
        await self._supervisor.start()

    async def _install(self) -> bool:
        opts = self._conf.engine

        async def validate(draft: Path) -> tuple[int, str]:
            scratch = self._paths.root / "varnish.check"
            return await check(
                [
                    program(opts.varnishd, "varnishd"),
                    *opts.varnishd_args,
                    *("-C", "-f", str(draft), "-n", str(scratch)),
                ],
                opts.start_timeout,
            )

        return await files.install(
            self._paths.vcl, render.varnish(self._conf, self._paths), validate
        )

    async def _answers(self) -> None:
        """Return once it answers: a request that is not from the edge gets 400."""
        path = str(self._paths.socket("varnish"))
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(path)
                try:
                    writer.write(b"GET / HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n")
                    if (await reader.readline()).startswith(b"HTTP/1.1 400"):
                        return
                finally:
                    writer.close()
            except OSError as exc:
                LOG.debug("Varnish does not answer yet: %s", exc)
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """End it. HAProxy should be gone before."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        if self._process is not None:
            await self._process.end(signal.SIGTERM, 5)

    async def detach(self) -> None:
        """Let it run on without an agent."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()

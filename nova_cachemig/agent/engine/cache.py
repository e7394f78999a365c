"""Varnish: its file and its process. Nothing of it changes while it runs."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from oslo_config import cfg
from oslo_log import log

from nova_cachemig.agent.engine import files, render, shares
from nova_cachemig.agent.engine.process import Process, find_program, run_to_end
from nova_cachemig.agent.engine.supervisor import Supervisor

LOG = log.getLogger(__name__)

PARAMETERS = {
    "default_ttl": "0.001",  # no freshness information: stale from the start, see the VCL
    "default_grace": "0",
    "default_keep": "0",
    "max_retries": "20000",  # the VCL has its own limits
    "nuke_limit": "1000000",  # a large page may displace any number of small ones of its share
    "shortlived": "0",  # else such pages are stored in the memory of all services
    "max_restarts": "10",  # one for each slot, and two for the states
    # A request occupies a thread only while Varnish works on it or waits for its fetch. HAProxy
    # holds all others.
    "thread_pools": "1",
    "thread_pool_min": "50",
    "thread_pool_max": "4000",
    "thread_queue_limit": "2000",
    "thread_pool_stack": "64k",
    "workspace_client": "160k",
    "workspace_backend": "160k",
    # The limits of HAProxy.
    "http_max_hdr": "320",
    "http_req_hdr_len": "40k",
    "http_req_size": "56k",
    "http_resp_hdr_len": "40k",
    "http_resp_size": "56k",
    "vsl_space": "8m",
}


def _storage_args(cache_size: str) -> list[str]:
    sizes = [(share.name, share.kib) for share in shares.shares(cache_size)]
    sizes.append((shares.TRANSIENT, shares.transient_kib(cache_size)))
    return [word for name, kib in sizes for word in ("-s", f"{name}=malloc,{kib}k")]


class Cache:
    """One Varnish for all services."""

    def __init__(self, conf: cfg.ConfigOpts, paths: render.Paths) -> None:
        self._conf = conf
        self._paths = paths
        self._process: Process | None = None
        self._supervisor: Supervisor | None = None

    @property
    def restarts(self) -> int:
        """How often Varnish has ended and was started again."""
        return self._supervisor.restarts if self._supervisor else 0

    @property
    def pid(self) -> int | None:
        """The pid of Varnish's manager process."""
        return self._process.pid if self._process else None

    def _argv(self) -> list[str]:
        opts = self._conf.engine
        argv = [find_program(opts.varnishd, "varnishd"), *opts.varnishd_args, "-F"]
        argv += ["-i", render.IDENTITY]
        argv += ["-n", str(self._paths.varnish_dir), "-f", str(self._paths.vcl)]
        argv += ["-a", f"edge={self._paths.socket('varnish')},HTTP,mode=600"]
        argv += [*_storage_args(opts.cache_size), "-T", "none"]
        for name, value in PARAMETERS.items():
            argv += ["-p", f"{name}={value}"]
        return argv

    async def start(self) -> None:
        """Adopt a running Varnish if its configuration is the same; otherwise start one."""
        argv = self._argv()
        self._process = Process("varnishd", argv, self._paths.root)
        self._supervisor = Supervisor(
            self._process, lambda: None, self._wait_ready, self._conf.engine.start_timeout
        )
        changed = await self._install()
        if self._process.adopt():
            if not changed and self._process.command_line() == argv:
                self._supervisor.watch()
                LOG.info("adopted the running Varnish, pid %s", self._process.pid)
                return
            LOG.info("Varnish runs with another configuration: restarting it")
            await self._process.terminate(signal.SIGTERM, 5)
        await self._supervisor.start()

    async def _install(self) -> bool:
        opts = self._conf.engine

        async def validate(draft: Path) -> tuple[int, str]:
            scratch = self._paths.root / "varnish.check"
            return await run_to_end(
                [
                    find_program(opts.varnishd, "varnishd"),
                    *opts.varnishd_args,
                    *("-C", "-f", str(draft), "-n", str(scratch)),
                    *_storage_args(opts.cache_size),
                ],
                opts.start_timeout,
            )

        return await files.install(
            self._paths.vcl, render.varnish(self._conf, self._paths), validate
        )

    async def _wait_ready(self) -> None:
        """Return once Varnish responds: a request without the edge's headers gets 400."""
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
                LOG.debug("Varnish does not respond yet: %s", exc)
            await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """Stop Varnish. HAProxy should have stopped before."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()
        if self._process is not None:
            await self._process.terminate(signal.SIGTERM, 5)

    async def detach(self) -> None:
        """Leave Varnish running without an agent."""
        if self._supervisor is not None:
            await self._supervisor.unwatch()

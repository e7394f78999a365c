"""Keeps the process that watches guests running, as long as nova-compute does."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

from oslo_config import cfg
from oslo_log import log

import nova_cachemig
from nova_cachemig.compute.watch_process import NO_LIBVIRT
from nova_cachemig.rpc.faults import Faults

LOG = log.getLogger(__name__)

_BACKOFF: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
_LONG_LIFE: Final = 60.0
"""Seconds after which the end of a process no longer counts as one more failure."""
_LOGGING_LIMIT: Final = 5.0
"""Seconds to wait for Nova's logging, which is set up after its notification drivers are made."""

_started: Watcher | None = None
_started_lock = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class WatchSettings:
    """What the process is told on its standard input."""

    host: str
    uri: str
    topic: str
    transport_url: str | None


def logging_works() -> bool:
    """Whether what is logged is kept: handlers alone may be there before their levels are."""
    return bool(logging.getLogger().handlers) and bool(LOG.isEnabledFor(logging.INFO))


def in_nova_compute(conf: cfg.ConfigOpts) -> bool:
    """Whether this process is nova-compute, however it was started."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return (
        getattr(conf, "prog", None) == "nova-compute"
        or Path(sys.argv[0]).name == "nova-compute"
        or getattr(main, "name", None) == "nova.cmd.compute"
    )


def start_once(conf: cfg.ConfigOpts, ready: Callable[[], object]) -> bool:
    """Start the watcher of this process, if it is wanted here and none has been.

    ``ready`` is called once Nova's logging works: drivers are made before it does.
    """
    global _started  # noqa: PLW0603  # one a process: Nova makes several notification drivers
    if not in_nova_compute(conf):
        return False
    with _started_lock:
        if _started is not None:
            return False
        wanted = conf.cachemig.watch_guests and str(conf.compute_driver).startswith("libvirt")
        settings = _settings(conf) if wanted else None
        _started = Watcher(settings, _config_arguments(conf), ready)
        _started.start()
    return True


def _settings(conf: cfg.ConfigOpts) -> WatchSettings:
    return WatchSettings(
        host=conf.host,
        uri=getattr(conf.libvirt, "connection_uri", "") or "qemu:///system",
        topic=conf.cachemig.topic,
        transport_url=conf.cachemig.transport_url or conf.transport_url,
    )


def _config_arguments(conf: cfg.ConfigOpts) -> list[str]:
    """So that the options of the message bus (TLS and the like) are the same there."""
    arguments = []
    for path in conf.config_file or []:
        arguments += ["--config-file", path]
    for path in conf.config_dir or []:
        arguments += ["--config-dir", path]
    return arguments


class Watcher:
    """A thread that starts the process, logs what it says, and starts it again when it ends."""

    def __init__(
        self,
        settings: WatchSettings | None,
        arguments: Sequence[str],
        ready: Callable[[], object] = lambda: None,
        *,
        command: Sequence[str] | None = None,
    ) -> None:
        module = "nova_cachemig.compute.watch_process"
        self._settings = settings
        # -P: what lies in nova-compute's working directory is not imported.
        self._command = [*(command or (sys.executable, "-P", "-m", module)), *arguments]
        self._ready = ready
        self._faults = Faults()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Return at once."""
        self._thread = threading.Thread(target=self._run, name="cachemig-watcher", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the process and the thread. Nova never does: they end with it."""
        self._stopping.set()
        process = self.process
        if process is not None and process.stdin is not None:
            process.stdin.close()
        if self._thread is not None:
            self._thread.join(timeout)

    def _run(self) -> None:
        self._await_logging()
        try:
            self._ready()
            if self._settings is not None:
                self._keep_running(json.dumps(dataclasses.asdict(self._settings)))
        except Exception:  # whatever it is, nova-compute goes on without
            LOG.exception("cachemig: guests are not watched")

    def _await_logging(self) -> None:
        deadline = time.monotonic() + _LOGGING_LIMIT
        while not logging_works() and time.monotonic() < deadline:
            self._stopping.wait(0.1)

    def _keep_running(self, settings: str) -> None:
        failures = 0
        while not self._stopping.is_set():
            born = time.monotonic()
            status = self._one_life(settings)
            if status == NO_LIBVIRT or self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - born > _LONG_LIFE else failures + 1
            self._faults.note("the watcher of guests ended", f"status {status}")
            self._stopping.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _one_life(self, settings: str) -> int | str:
        root = str(Path(nova_cachemig.__file__).parents[1])
        path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
        try:
            process = self.process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": path},
            )
        except OSError as exc:
            return str(exc)
        assert process.stdin is not None
        assert process.stdout is not None
        LOG.info("cachemig: guests are watched by process %d", process.pid)
        try:
            process.stdin.write(settings.encode() + b"\n")
            process.stdin.flush()
        except OSError as exc:
            LOG.debug("the watcher of guests ended at once: %s", exc)
        self._pass_on(process.stdout)
        return process.wait()

    def _pass_on(self, lines: IO[bytes]) -> None:
        for line in lines:
            level, message = _parsed(line)
            LOG.log(level, "cachemig watcher: %s", message)


def _parsed(line: bytes) -> tuple[int, str]:
    try:
        told: Any = json.loads(line)
        return int(told["level"]), str(told["message"])
    except (ValueError, TypeError, KeyError):
        return logging.WARNING, line.decode(errors="replace").rstrip()

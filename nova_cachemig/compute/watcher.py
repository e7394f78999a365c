"""Keeps the process that watches guests running for as long as nova-compute runs."""

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
"""Seconds before each restart in a row; the last one repeats."""
_LONG_LIFE: Final = 60.0
"""Seconds of life after which the end of the process starts a new row of restarts."""
_LOGGING_LIMIT: Final = 5.0
"""Seconds to wait for Nova's logging, which Nova sets up after its notification drivers."""
_QEMU: Final = "qemu:///system"
_DEFAULT_URIS: Final = {"lxc": "lxc:///", "parallels": "parallels:///system"}
"""As in Nova, by [libvirt] virt_type; the others are QEMU's."""

_started: Watcher | None = None
_started_lock = threading.Lock()


@dataclasses.dataclass(frozen=True, slots=True)
class WatchSettings:
    """The settings that the process reads from its standard input."""

    host: str
    uri: str
    topic: str
    transport_url: str | None
    announce_topic: str | None = None  # None: announce no guests


def logging_works() -> bool:
    """Whether log messages are kept: handlers are installed before their levels are set."""
    return bool(logging.getLogger().handlers) and bool(LOG.isEnabledFor(logging.INFO))


def in_nova_compute(conf: cfg.ConfigOpts) -> bool:
    """Return whether this process is nova-compute, however it was started."""
    main = getattr(sys.modules.get("__main__"), "__spec__", None)
    return (
        getattr(conf, "prog", None) == "nova-compute"
        or Path(sys.argv[0]).name == "nova-compute"
        or getattr(main, "name", None) == "nova.cmd.compute"
    )


def start_once(conf: cfg.ConfigOpts, ready: Callable[[], object]) -> bool:
    """Start the watcher if this is nova-compute and none was started; return whether it was.

    ``ready`` is called once Nova's logging works, which is not yet so when drivers are created.
    Without the libvirt driver, or with ``watch_guests = false``, that is all the watcher does.
    """
    global _started  # noqa: PLW0603  # Nova creates several notification drivers per process
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
    announce = conf.cachemig_announce
    return WatchSettings(
        host=conf.host,
        uri=libvirt_uri(conf),
        topic=conf.cachemig.topic,
        transport_url=conf.cachemig.transport_url or conf.transport_url,
        announce_topic=announce.topic if announce.enabled else None,
    )


def libvirt_uri(conf: cfg.ConfigOpts) -> str:
    """The libvirt of nova-compute, as Nova chooses it."""
    uri: str = getattr(conf.libvirt, "connection_uri", "")
    return uri or _DEFAULT_URIS.get(getattr(conf.libvirt, "virt_type", ""), _QEMU)


def _config_arguments(conf: cfg.ConfigOpts) -> list[str]:
    """Give the process Nova's own options of the message bus, TLS among them."""
    arguments = []
    for path in conf.config_file or []:
        arguments += ["--config-file", path]
    for path in conf.config_dir or []:
        arguments += ["--config-dir", path]
    return arguments


class Watcher:
    """A thread that starts the process, forwards its log, and restarts it when it ends."""

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
        # -P: import nothing from nova-compute's working directory.
        self._command = [*(command or (sys.executable, "-P", "-m", module)), *arguments]
        self._ready = ready
        self._faults = Faults()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the thread; does not wait."""
        self._thread = threading.Thread(target=self._run, name="cachemig-watcher", daemon=True)
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the process and the thread. Nova never calls this: both end with nova-compute."""
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
        except Exception:  # fail open: nova-compute runs on without the watcher
            LOG.exception("cachemig: guests are not watched")

    def _await_logging(self) -> None:
        deadline = time.monotonic() + _LOGGING_LIMIT
        while not logging_works() and time.monotonic() < deadline:
            self._stopping.wait(0.1)

    def _keep_running(self, settings: str) -> None:
        failures = 0
        while not self._stopping.is_set():
            born = time.monotonic()
            status = self._run_process(settings)
            if status == NO_LIBVIRT or self._stopping.is_set():
                return
            failures = 0 if time.monotonic() - born > _LONG_LIFE else failures + 1
            self._faults.note("the process that watches guests ended", f"status {status}")
            self._stopping.wait(_BACKOFF[min(failures, len(_BACKOFF) - 1)])

    def _run_process(self, settings: str) -> int | str:
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
        LOG.info("cachemig: process %d watches guests", process.pid)
        try:
            process.stdin.write(settings.encode() + b"\n")
            process.stdin.flush()
        except OSError as exc:
            LOG.debug("cachemig: the process that watches guests ended immediately: %s", exc)
        self._forward_log(process.stdout)
        return process.wait()

    def _forward_log(self, lines: IO[bytes]) -> None:
        for line in lines:
            name, level, message = _parsed(line)
            logging.getLogger(name).log(level, "%s", message)


def _parsed(line: bytes) -> tuple[str, int, str]:
    try:
        record: Any = json.loads(line)
        return str(record["logger"]), int(record["level"]), str(record["message"])
    except (ValueError, TypeError, KeyError):  # not from its log: a traceback, or a library's print
        text = line.decode(errors="replace").rstrip()
        return __name__, logging.WARNING, f"cachemig: the process that watches guests: {text}"

"""A libvirtd of the test's own: its directories and networks are nobody else's."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path
from typing import Any

_PRIVATE = ("/run/libvirt", "/var/lib/libvirt", "/var/log/libvirt", "/var/cache/libvirt")
START_LIMIT = 30.0


class Libvirtd:
    """Serves libvirt's test driver, which has one domain and sends events like any other."""

    def __init__(self) -> None:
        program = shutil.which("libvirtd", path=os.environ["PATH"] + ":/usr/sbin")
        try:
            import libvirt
        except ImportError:
            raise unittest.SkipTest("libvirt-python is not installed") from None
        if program is None or os.geteuid() != 0:
            raise unittest.SkipTest("no libvirtd, or not root: it needs namespaces of its own")
        self._libvirt: Any = libvirt
        self._program = program
        self._home = Path(tempfile.mkdtemp(prefix="cachemig-libvirtd-"))
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, *, read_only: bool) -> str:
        """Over the socket that is meant for it."""
        name = "libvirt-sock-ro" if read_only else "libvirt-sock"
        return f"test+unix:///default?socket={self._home}/{name}"

    def start(self) -> None:
        """Back once it takes connections."""
        (self._home / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self._home}"\nunix_sock_group = "root"\n'
            'auth_unix_ro = "none"\nauth_unix_rw = "none"\n'
        )
        mounts = " && ".join(f"mkdir -p {d} && mount -t tmpfs none {d}" for d in _PRIVATE)
        run = f'exec {self._program} -f "{self._home}/libvirtd.conf" -p "{self._home}/pid"'
        apart = ["unshare", "-m", "-n", "--propagation", "private"]
        with (self._home / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [*apart, "sh", "-c", f"{mounts} && {run}"],
                stdout=output,
                stderr=output,
            )
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self._libvirt.openReadOnly(self.uri(read_only=True)).close()
            except self._libvirt.libvirtError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)  # there is nothing to wait on: it is not ours
            else:
                return

    def domain(self) -> Any:
        """The one domain, to be suspended and resumed."""
        self._connection = self._libvirt.open(self.uri(read_only=False))
        return self._connection.lookupByName("test")

    def stop(self) -> None:
        """Without a goodbye."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def close(self) -> None:
        """End it and leave nothing behind."""
        self.stop()
        shutil.rmtree(self._home, ignore_errors=True)

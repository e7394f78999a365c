"""Private libvirt daemons: each has its own files, sockets and processes."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import libvirt

from tests.functional.compute.sasl import PASSWORD, USER, Sasl

_PRIVATE = (
    "/etc/libvirt",
    "/run/libvirt",
    "/var/cache/libvirt",
    "/var/lib/libvirt",
    "/var/log/libvirt",
)
_NAMESPACES = shlex.split(
    "unshare --mount --net --uts --pid --propagation private --mount-proc --fork --kill-child"
)
_QEMU_CONF = """
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = []
namespaces = []
remember_owner = 0
stdio_handler = "file"
clear_emulator_capabilities = 0  # post-copy needs userfaultfd
"""
_GUEST = """
<domain type='qemu'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <disk type='file' device='floppy'>
      <source file='{floppy}'/><target dev='fda'/><readonly/>
    </disk>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""
_BOOT_SECTOR = bytes.fromhex(
    "b80010"  # again: mov ax, 0x1000
    "8ec0"  # page: mov es, ax
    "26fe060000"  # inc byte [es:0]
    "050001"  # add ax, 0x100
    "3d0090"  # cmp ax, 0x9000
    "72f1"  # jb page
    "ebec"  # jmp again
)
"""A guest's whole software: it writes to 128 pages of its memory without end."""
_FLOPPY_SIZE = 1440 * 1024
START_LIMIT = 30.0


class Libvirtd:
    """A daemon in its own namespaces. The namespaces and its guests end with it.

    By default it serves libvirt's test driver, which has one domain, ``test``, and sends the same
    events as the other drivers. With ``driver="qemu"`` it runs QEMU without KVM. ``host`` is its
    host name: libvirt migrates only between hosts with different names.

    With ``sasl`` it shares the network of the machine and also listens on TCP, with and without
    TLS. These sockets and the read-only socket ask for a user name and a password.
    """

    def __init__(self, host: str = "host-a", driver: str = "test", *, sasl: bool = False) -> None:
        program = shutil.which("libvirtd", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None or os.geteuid() != 0:
            raise RuntimeError("needs libvirtd, and root to create namespaces")
        self.host = host
        self.home = Path(tempfile.mkdtemp(prefix="cachemig-libvirtd-"))
        self._sasl = Sasl(self.home, host) if sasl else None
        self._driver = driver
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Any = None

    def uri(self, *, read_only: bool) -> str:
        """Return the URI of the socket for this access."""
        name = "libvirt-sock-ro" if read_only else "libvirt-sock"
        path = {"test": "default", "qemu": "system"}[self._driver]
        return f"{self._driver}+unix:///{path}?socket={self.home}/{name}"

    def uri_with_password(self, transport: str) -> str:
        """Of a socket that asks for a password: ``tcp``, ``tls`` or ``unix``."""
        assert self._sasl is not None
        if transport == "unix":
            return self.uri(read_only=True)
        port = self._sasl.ports[transport]
        pki = f"?pkipath={self.home}/pki" if transport == "tls" else ""
        return f"{self._driver}+{transport}://127.0.0.1:{port}/default{pki}"

    def auth_file(self, password: str | None = PASSWORD) -> Path:
        """libvirt's file of credentials for its clients; None: without any."""
        path = self.home / "auth.conf"
        path.write_text(
            ""
            if password is None
            else f"[credentials-nova]\nauthname={USER}\npassword={password}\n"
            "[auth-libvirt-default]\ncredentials=nova\n"
        )
        return path

    def start(self) -> None:
        """Start the daemon; return when it accepts connections."""
        (self.home / "qemu.conf").write_text(_QEMU_CONF)
        more = 'auth_unix_ro = "none"\n' if self._sasl is None else self._sasl.prepare()
        (self.home / "libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.home}"\nunix_sock_group = "root"\n'
            f'auth_unix_rw = "none"\nhost_uuid = "{uuid.uuid4()}"\n{more}'
        )
        namespaces = [name for name in _NAMESPACES if self._sasl is None or name != "--net"]
        with (self.home / "log").open("ab") as output:
            self._process = subprocess.Popen(
                [*namespaces, "sh", "-c", self._script()],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self._await_ready(self._process)

    def _script(self) -> str:
        # The shell is the first process of its namespace: the others end with it.
        mounts = [f"mkdir -p {path} && mount -t tmpfs none {path}" for path in _PRIVATE]
        listen = ""
        if self._sasl is not None:
            listen = "--listen"
            mounts.append(f"mount --bind {self._sasl.directory} /etc/sasl2")
        return " && ".join(
            [
                *mounts,
                f"cp {self.home}/qemu.conf /etc/libvirt/",
                f"hostname {self.host}",
                f"{{ {self._program} {listen} -f {self.home}/libvirtd.conf -p {self.home}/pid &"
                " wait; }",
            ]
        )

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_LIMIT
        while True:
            try:
                self.open().close()
            except libvirt.libvirtError as exc:
                if time.monotonic() > deadline or process.poll() is not None:
                    log = (self.home / "log").read_text(errors="replace")[-2000:]
                    raise RuntimeError(f"libvirtd did not start:\n{log}") from exc
                time.sleep(0.05)  # libvirt offers nothing to wait for
            else:
                return

    def connect(self) -> Any:
        """Return the test's connection, with write access.

        One thread only may use it: before libvirt 10.0 the call of a second thread can wait until
        that of the first has ended (the race of g_main_loop_quit in ``virNetClientIO``).
        """
        if self._connection is None:
            self._connection = self.open()
        return self._connection

    def open(self) -> Any:
        """Return a new connection, with write access."""
        return libvirt.open(self.uri(read_only=False))

    def domain(self) -> Any:
        """Return the only domain of the test driver."""
        return self.connect().lookupByName("test")

    def start_guest(self, name: str) -> Any:
        """Start a guest that never stops writing to its memory.

        At 1 MiB/s its memory cannot be copied while it runs. A migration then lasts until the
        test allows more bandwidth, switches to post-copy or forces completion.
        """
        floppy = self.home / "floppy"
        floppy.write_bytes(
            (_BOOT_SECTOR.ljust(510, b"\0") + b"\x55\xaa").ljust(_FLOPPY_SIZE, b"\0")
        )
        return self.connect().createXML(
            _GUEST.format(name=name, uuid=uuid.uuid4(), floppy=floppy), 0
        )

    def freeze(self) -> None:
        """Stop the daemon's process: it no longer responds. Its guests go on."""
        assert self._process is not None
        [shell] = _children(self._process.pid)
        [daemon] = [pid for pid in _children(shell) if _command(pid) == "libvirtd"]
        os.kill(daemon, signal.SIGSTOP)

    def stop(self) -> None:
        """Kill the daemon and its guests."""
        process, self._process = self._process, None
        self._connection = None
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait(10)

    def close(self) -> None:
        """End the daemon and delete its files."""
        self.stop()
        shutil.rmtree(self.home, ignore_errors=True)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text().strip()

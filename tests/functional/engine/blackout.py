"""A network namespace for a guest, in which all packets can be dropped in both directions.

To the edge this looks like a paused guest: the guest's kernel acknowledges nothing. With SIGSTOP
it would.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import random
import socket
import subprocess
import threading
from pathlib import Path

CLONE_NEWNET = 0x40000000

_PREFIX = "cmeng"
_NUMBERS = 16384  # subnets of four addresses from 10.210.0.0 on


def _run(*argv: str, stdin: str | None = None) -> None:
    subprocess.run(argv, check=True, input=stdin, text=True, capture_output=True)


class Namespace:
    """A namespace that a veth pair connects to this one; ``address`` is the guest's."""

    def __init__(self) -> None:
        self._take(random.randrange(_NUMBERS))

    def _take(self, number: int) -> None:
        self.name = f"{_PREFIX}{number}"
        self._link = f"cme{number}"
        high, low = divmod(number * 4, 256)
        self._near = f"10.{210 + high // 256}.{high % 256}.{low + 1}"
        self.address = f"10.{210 + high // 256}.{high % 256}.{low + 2}"

    def create(self) -> None:
        """Make the namespace. Another test may have its number: then this one takes the next."""
        while not self._added():
            self._take((int(self.name.removeprefix(_PREFIX)) + 1) % _NUMBERS)
        inside = ("ip", "-n", self.name)
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "eth0", "netns", self.name)
        _run("ip", "addr", "add", f"{self._near}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        _run(*inside, "addr", "add", f"{self.address}/30", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run(*inside, "link", "set", "lo", "up")
        self._nft("add table inet pause")

    def _added(self) -> bool:
        try:
            _run("ip", "netns", "add", self.name)
        except subprocess.CalledProcessError:
            if Path("/run/netns", self.name).exists():
                return False
            raise
        return True

    def delete(self) -> None:
        subprocess.run(["ip", "netns", "del", self.name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self._link], check=False, capture_output=True)

    def _nft(self, rules: str) -> None:
        _run("ip", "netns", "exec", self.name, "nft", "-f", "-", stdin=rules)

    async def pause(self) -> None:
        """Drop every packet, in and out, from when this returns."""
        await asyncio.to_thread(
            self._nft,
            "add chain inet pause in { type filter hook input priority -300; policy drop; }\n"
            "add chain inet pause out { type filter hook output priority -300; policy drop; }\n",
        )

    async def drop_data(self) -> None:
        """Drop arriving packets with data from now on: connections are still accepted."""
        await asyncio.to_thread(
            self._nft,
            "add chain inet pause in { type filter hook input priority -300; policy accept; }\n"
            "add chain inet pause out { type filter hook output priority -300; policy accept; }\n"
            "add rule inet pause in ip length > 100 drop\n",
        )

    async def resume(self) -> None:
        """Let packets pass again."""
        await asyncio.to_thread(
            self._nft,
            "flush table inet pause\ndelete chain inet pause in\ndelete chain inet pause out\n",
        )

    def listen(self) -> socket.socket:
        """Return a listening socket inside, usable from any thread."""
        made: list[socket.socket] = []

        def enter() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            descriptor = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
            try:
                if libc.setns(descriptor, CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            finally:
                os.close(descriptor)
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((self.address, 0))
            sock.listen(1024)
            sock.setblocking(False)
            made.append(sock)

        thread = threading.Thread(target=enter)  # only the thread enters the namespace
        thread.start()
        thread.join()
        return made[0]

"""A guest in a network namespace that can drop its packets."""

import os
import subprocess
import sys
import unittest

from nova_cachemig.model.service import Target


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class PausedGuest(unittest.IsolatedAsyncioTestCase):
    """A guest whose namespace can drop all packets with nft, as a paused guest does.

    ``server``: the program in it, on port 80; it prints "up" when it listens.
    """

    server = ""

    def setUp(self):
        tag = f"{os.getpid():x}"[-6:]
        self.space, near, far = f"cmgp{tag}", f"cmgpa{tag}", f"cmgpb{tag}"
        high, low = divmod(os.getpid() % 0x4000, 64)  # a subnet of 198.19.0.0/16
        net, first = f"198.19.{high}", low * 4
        run("ip", "netns", "add", self.space)
        self.addCleanup(run, "ip", "netns", "del", self.space)
        run("ip", "link", "add", near, "type", "veth", "peer", "name", far, "netns", self.space)
        # The namespace still exists when "del" returns: without this the next test finds its link.
        self.addCleanup(run, "ip", "link", "del", near)
        run("ip", "addr", "add", f"{net}.{first + 1}/30", "dev", near)
        run("ip", "link", "set", near, "up")
        self.inside("ip", "addr", "add", f"{net}.{first + 2}/30", "dev", far)
        self.inside("ip", "link", "set", far, "up")
        self.inside("nft", "add", "table", "inet", "pause")
        self.process = server = subprocess.Popen(
            ["ip", "netns", "exec", self.space, sys.executable, "-c", self.server],
            stdout=subprocess.PIPE,
        )
        self.addCleanup(server.wait, 10)
        self.addCleanup(server.terminate)
        self.addCleanup(server.stdout.close)
        self.assertEqual(b"up\n", server.stdout.readline())
        self.target = Target(f"{net}.{first + 2}", 80)

    def inside(self, *command):
        return run("ip", "netns", "exec", self.space, *command)

    def pause(self, *hooks):
        for hook in hooks or ("input", "output"):
            self.inside("nft", "add", "chain", "inet", "pause", hook,
                        f"{{ type filter hook {hook} priority 0; policy drop; }}")  # fmt: skip

    def resume(self):
        self.inside("nft", "delete table inet pause; add table inet pause")  # both hooks together

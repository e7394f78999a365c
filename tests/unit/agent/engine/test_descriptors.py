"""HAProxy's connections to guests: which is which, by the local port and by the socket."""

from __future__ import annotations

import os
import socket
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.engine import descriptors, sockdiag
from nova_cachemig.agent.engine.descriptors import Descriptors

OUTPUT = """\
 11 : st=0x20 cl fe=edge mode=http lport=80 rport=5000
 12 : st=0x20 cl back=0 lport=80 rport=5000 fe=edge mux=H1 ctx=0x1 h1c.flg=0x40400 xprt=RAW
 13 : st=0x21 cl back=1 lport=41001 rport=80 sv=guest/guest mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 14 : st=0x21 cl back=1 lport=41002 rport=80 sv=guest/guest mux=H1 ctx=0x1 h1s=0x2 xprt=RAW
 15 : st=0x21 cl back=1 lport=41003 rport=80 sv=fetch/guest mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 16 : st=0x21 cl back=1 lport=41004 rport=80 sv=guest_personal/guest mux=H1 ctx=0x1 xprt=RAW
 17 : st=0x21 cl back=1 lport=41005 rport=80 sv=guest_stream/guest mux=H2 .nbst=0 .nbsc=0 xprt=RAW
 18 : st=0x21 cl back=1 lport=41006 rport=80 sv=guest_stream/guest mux=H2 .nbst=2 .nbsc=2 xprt=RAW
 19 : st=0x21 cl back=1 sv=cache/varnish mux=H1 ctx=0x1 h1c.flg=0x4 xprt=RAW
 20 : st=0x21 cl back=1 lport=41007 rport=80 sv=guest_write/guest mux=H1 ctx=0x1 xprt=RAW
 21 : st=0x21 cl back=1 lport=41007 rport=80 sv=fetch_first/guest mux=H1 h1s=0x2 .res.state=MSG_DATA
 22 : st=0x21 cl back=1 lport=41008 rport=80 sv=fetch_again/guest h1s=0x2 .res.state=MSG_RPBEFORE
 23 : st=0x21 cl back=1 lport=41009 rport=80 sv=guest/guest h1s=0x2 .res.state=MSG_RPBEFORE"""


def connection(port: int, cookie: int = 1) -> sockdiag.Connection:
    identity = bytes(40) + cookie.to_bytes(8, "little")
    return sockdiag.Connection(2, identity, port, 80, "192.0.2.9", 0, 0)


class ParseTest(unittest.TestCase):
    def setUp(self) -> None:
        self.found = Descriptors.parse(77, OUTPUT)

    def test_reads_are_those_of_a_handover(self) -> None:
        self.assertEqual({41003: [15], 41007: [21], 41008: [22]}, self.found.reads)

    def test_reads_without_a_response_wait(self) -> None:
        self.assertEqual({41008: [22]}, self.found.waiting)

    def test_the_connections_of_logins_are_left_out(self) -> None:
        others = {41001: [13], 41002: [14], 41005: [17], 41006: [18], 41007: [20], 41009: [23]}
        self.assertEqual(others, self.found.others)

    def test_idle_connections_are_those_without_a_request(self) -> None:
        self.assertEqual({41001: [13], 41003: [15], 41005: [17], 41007: [20]}, self.found.idle)

    def test_a_port_of_one_connection_says_which_it_is(self) -> None:
        found = [connection(41002), connection(41003)]
        self.assertEqual(found[1:], self.found.select(found, self.found.reads))

    def test_a_port_of_two_connections_is_in_doubt_without_the_rights(self) -> None:
        with mock.patch.object(os, "pidfd_open", side_effect=PermissionError):
            self.assertEqual([], self.found.select([connection(41007)], self.found.reads))


class SocketTest(unittest.TestCase):
    """This process takes the part of HAProxy's worker."""

    def setUp(self) -> None:
        servers = [socket.create_server((f"127.0.0.{n}", 0)) for n in (1, 2)]
        self.socks: list[socket.socket] = []
        for server in servers:
            self.addCleanup(server.close)
            sock = socket.socket()
            self.addCleanup(sock.close)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", self.socks[0].getsockname()[1] if self.socks else 0))
            sock.connect(server.getsockname())
            self.socks.append(sock)
        self.port = self.socks[0].getsockname()[1]
        self.found = [
            one
            for server in servers
            for one in sockdiag.connections(*server.getsockname())
            if one.source_port == self.port
        ]

    def test_the_socket_decides_between_two_connections_from_one_port(self) -> None:
        read, write = (sock.fileno() for sock in self.socks)
        line = " {} : st=0 back=1 lport={} rport=80 sv={}/guest mux=H1"
        output = "\n".join(
            line.format(fd, self.port, backend)
            for fd, backend in ((read, "fetch"), (write, "guest_write"))
        )
        ours = Descriptors.parse(os.getpid(), output)
        self.assertEqual(self.found[:1], ours.select(self.found, ours.reads))
        self.assertEqual(self.found[1:], ours.select(self.found, ours.others))

    def test_what_is_no_socket_is_left_out_and_nothing_stays_open(self) -> None:
        null = os.open(os.devnull, os.O_RDONLY)
        self.addCleanup(os.close, null)
        before = len([*Path("/proc/self/fd").iterdir()])
        fds = [null, self.socks[0].fileno()]
        cookies = [descriptors.cookie(sock) for sock in descriptors.duplicates(os.getpid(), fds)]
        self.assertEqual([self.found[0].cookie], cookies)
        with self.assertRaisesRegex(OSError, "pidfd_getfd"):
            list(descriptors.duplicates(os.getpid(), [999_999]))
        self.assertEqual(before, len([*Path("/proc/self/fd").iterdir()]))

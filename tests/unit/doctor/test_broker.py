import errno
import socket
import ssl
import unittest

import amqp

from nova_cachemig.doctor import broker
from nova_cachemig.doctor.verdicts.bus import Fault
from nova_cachemig.rpc import connection as link
from tests.unit.rpc.endpoints import new_conf


class FaultTest(unittest.TestCase):
    def test_errors_are_classified(self) -> None:
        for error, fault in (
            (amqp.AccessRefused("login"), Fault.PASSWORD),
            (amqp.NotAllowed("vhost x not found"), Fault.NO_VHOST),
            (amqp.NotAllowed("access to vhost 'x' refused for user 'u'"), Fault.NOT_ON_VHOST),
            (ssl.SSLCertVerificationError("self-signed"), Fault.CERTIFICATE),
            (ssl.SSLError("wrong version number"), Fault.TLS),
            (FileNotFoundError(errno.ENOENT, "No such file"), Fault.FILE),
            (TimeoutError("timed out"), Fault.TIMEOUT),
            (ConnectionRefusedError(), Fault.REFUSED),
            (ConnectionResetError(), Fault.CLOSED),
            (OSError("Server unexpectedly closed connection"), Fault.CLOSED),
            (OSError(errno.EHOSTUNREACH, "No route to host"), Fault.NO_ROUTE),
            (amqp.InternalError("x"), Fault.OTHER),
        ):
            self.assertEqual(fault, broker.fault_of(error), repr(error))

    def test_a_port_where_nothing_listens(self) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            found = link.settings(new_conf(), f"rabbit://u:p@127.0.0.1:{port}/")
            assert found is not None
            self.assertEqual(Fault.REFUSED, broker.attempt(found, found.servers[0]).fault)


if __name__ == "__main__":
    unittest.main()

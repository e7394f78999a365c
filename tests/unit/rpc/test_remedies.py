import unittest

from nova_cachemig.rpc.remedies import remedy

PRECONDITION = "Exchange.declare: (406) PRECONDITION_FAILED - inequivalent arg 'durable'"


class RemedyTest(unittest.TestCase):
    def test_each_error_of_the_bus_has_its_own(self) -> None:
        for error, advice in (
            (PRECONDITION, "exists with other flags"),
            ("Connection.open: (403) ACCESS_REFUSED - Login was refused", "password"),
            ("(530) NOT_ALLOWED - access to vhost 'x' refused", "virtual host"),
            ("[Errno 111] ECONNREFUSED", "firewall"),
        ):
            self.assertIn(advice, remedy(OSError(error)))

"""The announcement starts, or one line says why it does not; guests are watched in any case."""

from __future__ import annotations

import unittest
from unittest import mock

from nova_cachemig.compute.announce import service, tap
from nova_cachemig.compute.announce.announcer import Announcer
from tests.unit.rpc.endpoints import new_conf

LOGGER = "nova_cachemig.compute.announce.service"


class StartTest(unittest.TestCase):
    def start(self) -> Announcer | None:
        return service.start(new_conf(), "announce", "host-a", "fake://")

    def refused(self) -> str:
        with self.assertLogs(LOGGER, "WARNING") as caught:
            self.assertIsNone(self.start())
        [line] = caught.output
        return line

    def test_without_the_capabilities(self) -> None:
        with mock.patch.object(tap, "missing_capabilities", return_value=["CAP_NET_RAW"]):
            line = self.refused()
        self.assertIn("lacks CAP_NET_RAW", line)
        self.assertIn("[cachemig_announce] enabled = false", line)

    def test_without_pyroute2(self) -> None:
        missing = ImportError("no module pyroute2")
        with mock.patch.object(tap, "missing_capabilities", side_effect=missing):
            self.assertIn("ImportError: no module pyroute2", self.refused())

    def test_a_network_that_cannot_be_asked(self) -> None:
        with (
            mock.patch.object(tap, "missing_capabilities", return_value=[]),
            mock.patch.object(tap, "remove_remains", side_effect=OSError("no netlink")),
        ):
            self.assertIn("no netlink", self.refused())

    def test_it_starts(self) -> None:
        with (
            mock.patch.object(tap, "missing_capabilities", return_value=[]),
            mock.patch.object(tap, "remove_remains"),
            self.assertLogs(LOGGER, "INFO") as caught,
        ):
            announcer = self.start()
        self.assertIsNotNone(announcer)
        self.assertEqual([f"INFO:{LOGGER}:cachemig: guests are announced early"], caught.output)

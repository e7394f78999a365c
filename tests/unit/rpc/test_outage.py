import logging
import unittest
import uuid
from unittest import mock

from oslo_messaging._drivers import impl_rabbit

from nova_cachemig.rpc import outage

LOGGER = "nova_cachemig.rpc.outage"
BUS = "rabbit1:5672/nova"
DOWN = f"WARNING:{LOGGER}:cachemig: the message bus {BUS} does not work, trying again: "
DRIVER = logging.getLogger("tests.a_driver")


class OutageTest(unittest.TestCase):
    def setUp(self) -> None:
        self.now = 100.0
        self.outage = outage.Outage(BUS, lambda: self.now)

    def test_one_line_for_each_change_of_state(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            for _ in range(100):
                self.outage.failed("refused")
                self.now += 2.0
            for _ in range(100):
                self.outage.works()
            self.outage.failed("reset")
        self.assertEqual(
            [
                f"{DOWN}refused",
                f"INFO:{LOGGER}:cachemig: the message bus {BUS} works again",
                f"{DOWN}reset",
            ],
            logged.output,
        )

    def test_each_bus_has_its_own(self) -> None:
        self.assertIs(outage.of("a:5672/"), outage.of("a:5672/"))
        self.assertIsNot(outage.of("a:5672/"), outage.of("b:5672/"))

    def test_a_bus_that_works_now_and_then_does_not_fill_the_log(self) -> None:
        with self.assertLogs(LOGGER, "INFO") as logged:
            for _ in range(60):
                self.outage.failed("refused")
                self.outage.works()
                self.now += 1.0
        self.assertEqual(2 * 2, len(logged.output))


class Errors(unittest.TestCase):
    def setUp(self) -> None:
        self.outage = mock.Mock(spec=outage.Outage)
        outage.watch(DRIVER)
        self.addCleanup(DRIVER.removeFilter, outage._errors)

    def test_the_drivers_errors_are_dropped_on_our_connections_only(self) -> None:
        with self.assertLogs(DRIVER, "INFO") as logged:
            with outage.observed(self.outage), outage.observed(self.outage):
                DRIVER.error("[%s] unreachable\nmore", uuid.UUID(int=1))
                DRIVER.info("a detail")
            DRIVER.error("of Nova")
        self.assertEqual(
            ["INFO", "ERROR"],
            [record.levelname for record in logged.records],
        )
        self.outage.failed.assert_called_once_with("unreachable")
        self.assertEqual(2, self.outage.works.call_count)

    def test_a_consumer_that_is_connected_again_works(self) -> None:
        with (
            self.assertLogs(DRIVER, "INFO"),
            self.assertRaises(OSError),
            outage.observed(self.outage),
        ):
            DRIVER.info("[%(connection_id)s] Reconnected to AMQP server on …", {"connection_id": 1})
            raise OSError
        self.outage.works.assert_called_once_with()

    def test_a_heartbeat_is_quiet_about_warnings_too(self) -> None:
        with self.assertNoLogs(DRIVER), outage.quiet(self.outage, logging.WARNING):
            DRIVER.warning("unexpected")
        self.outage.failed.assert_called_once_with("unexpected")
        self.outage.works.assert_not_called()

    def test_the_driver_of_oslo_messaging_is_watched(self) -> None:
        outage.watch(impl_rabbit.LOG.logger)
        outage.watch(impl_rabbit.LOG.logger)
        self.assertEqual(1, impl_rabbit.LOG.logger.filters.count(outage._errors))

    def test_an_attempt_that_raises_has_not_worked(self) -> None:
        with self.assertRaises(OSError), outage.observed(self.outage):
            raise OSError
        self.outage.works.assert_not_called()
        with self.assertLogs(DRIVER, "ERROR"):
            DRIVER.error("of Nova")

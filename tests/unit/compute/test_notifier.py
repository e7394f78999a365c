import logging
import tempfile
import unittest
from pathlib import Path
from typing import Any
from unittest import mock

from oslo_config import cfg
from stevedore import driver

from nova_cachemig.compute import agent_link, notifier, watcher
from nova_cachemig.compute.notification import MigrationEvent
from nova_cachemig.model.event import EventKind
from nova_cachemig.model.reading import Reading
from tests.unit.compute.test_metrics import versioned as metrics_payload
from tests.unit.compute.test_notification import unversioned, versioned

LOGGER = "nova_cachemig.compute.notifier"
BEGUN = "instance.live_migration_pre.start"


def nova_conf(notification_format: str | None = "both", **ours: Any) -> cfg.ConfigOpts:
    """As much of Nova's conf as the driver reads."""
    conf = cfg.ConfigOpts()
    conf([], default_config_files=[], default_config_dirs=[])
    if notification_format is not None:
        options = [cfg.StrOpt("notification_format", default=notification_format)]
        conf.register_opts(options, group="notifications")
    notifier.options.register(conf)
    for name, value in ours.items():
        conf.set_override(name, value, group="cachemig")
    return conf


class FakeHook:
    def __init__(self) -> None:
        self.handled: list[MigrationEvent] = []
        self.error: BaseException | None = None

    def handle(self, event: MigrationEvent) -> None:
        self.handled.append(event)
        if self.error is not None:
            raise self.error


class NotifierTest(unittest.TestCase):
    def setUp(self) -> None:
        logging.getLogger("nova_cachemig.rpc.faults").setLevel(logging.CRITICAL)
        self.addCleanup(logging.getLogger("nova_cachemig.rpc.faults").setLevel, logging.NOTSET)

    def made(self, conf: cfg.ConfigOpts) -> tuple[notifier.CachemigDriver, FakeHook]:
        made = notifier.CachemigDriver(conf, ["notifications"], None)
        made._hook = hook = FakeHook()  # type: ignore[assignment]
        return made, hook

    def test_the_name_in_nova_conf_finds_it(self) -> None:
        found = driver.DriverManager("oslo.messaging.notify.drivers", "cachemig")
        self.assertIs(notifier.CachemigDriver, found.driver)

    def test_a_wrong_value_keeps_nova_from_nothing_and_is_named(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory()), "nova.conf")
        path.write_text("[cachemig]\nwarm_timeout = abc\n")
        conf = cfg.ConfigOpts()
        conf([], default_config_files=[str(path)])
        made = notifier.CachemigDriver(conf, ["notifications"], None)
        conf.log_opt_values(logging.getLogger("nova"), logging.DEBUG)
        with (
            mock.patch.object(watcher, "logging_works", return_value=True),
            self.assertLogs(LOGGER, "INFO") as logged,
        ):
            made.notify({}, versioned("instance.create.end"), "INFO", -1)
        self.assertIn("[cachemig] warm_timeout = abc is not valid: write a", logged.output[0])
        self.assertIn("warm_timeout 30 s", logged.output[1])

    def test_an_event_reaches_the_hook(self) -> None:
        made, hook = self.made(nova_conf())
        made.notify({}, versioned(BEGUN), "INFO", -1)
        self.assertEqual([EventKind.BEGIN], [event.kind for event in hook.handled])

    def test_an_event_that_is_published_twice_is_handled_once(self) -> None:
        for wanted, heard in (("both", 1), ("versioned", 1), ("unversioned", 1), (None, 1)):
            with self.subTest(wanted):
                made, hook = self.made(nova_conf(wanted))
                legacy = unversioned("compute.instance.live_migration.pre.start")
                made.notify({"request_id": "req-1"}, legacy, "INFO", -1)
                made.notify({"request_id": "req-1"}, versioned(BEGUN), "INFO", -1)
                self.assertEqual(heard, len(hook.handled))

    def test_anything_else_costs_nothing_and_opens_nothing(self) -> None:
        made = notifier.CachemigDriver(nova_conf(), ["notifications"], None)
        with mock.patch.object(agent_link, "AgentClient", side_effect=AssertionError):
            for event in ("instance.create.end", "scheduler.select_destinations.end", None):
                made.notify({}, versioned(str(event)), "INFO", -1)
            made.notify(None, {}, "INFO", -1)
        self.assertIsNone(made._hook)
        self.assertEqual({}, made._faults.counts())

    def test_a_change_of_an_instance_reaches_the_agent_and_opens_no_hook(self) -> None:
        made = notifier.CachemigDriver(nova_conf(), ["notifications"], None)
        with mock.patch.object(agent_link, "of") as link:
            made.notify({}, versioned("instance.delete.end"), "INFO", -1)
            made.notify({}, unversioned("compute.instance.delete.end"), "INFO", -1)
            link.return_value.report.side_effect = RuntimeError("x")
            made.notify({}, versioned("instance.interface_detach.end"), "INFO", -1)
        notices = [call.args[0] for call in link.return_value.report.call_args_list]
        self.assertEqual(["deleted", "detached"], [notice.change for notice in notices])
        self.assertEqual(1, sum(made._faults.counts().values()))
        self.assertIsNone(made._hook)

    def test_the_load_of_the_host_is_reported(self) -> None:
        payload = metrics_payload("cmp1", "2026-03-01T12:00:00Z", 37)
        message = {"event_type": "metrics.update", "payload": payload}
        with mock.patch.object(notifier, "SamplesClient") as client:
            made, hook = self.made(nova_conf())
            made.notify({}, message, "INFO", -1)
            made.notify({}, message, "INFO", -1)
            off, _ = self.made(nova_conf(report_load=False))
            off.notify({}, message, "INFO", -1)
        client.assert_called_once()
        [one, two] = client.return_value.report.call_args_list
        self.assertEqual(Reading("cmp1", 1772366400.0, 37.0), one.args[0])
        self.assertEqual(one, two)
        self.assertEqual([], hook.handled)

    def test_whatever_goes_wrong_nova_goes_on(self) -> None:
        made, hook = self.made(nova_conf())
        for error in (RuntimeError("x"), OSError("x"), AssertionError("x")):
            hook.error = error
            made.notify({}, versioned(BEGUN), "INFO", -1)
        hook.error = None
        made.notify({}, versioned(BEGUN, uuid=None), "INFO", -1)
        made.notify({}, None, "INFO", -1)
        self.assertEqual(5, sum(made._faults.counts().values()))

    def test_what_is_meant_for_novas_caller_passes(self) -> None:
        made, hook = self.made(nova_conf())
        hook.error = KeyboardInterrupt()
        with self.assertRaises(KeyboardInterrupt):
            made.notify({}, versioned(BEGUN), "INFO", -1)

    def test_a_watcher_that_cannot_start_is_no_reason_not_to_load(self) -> None:
        with mock.patch.object(watcher, "start_once", side_effect=OSError("no more processes")):
            made, hook = self.made(nova_conf())
        made.notify({}, versioned(BEGUN), "INFO", -1)
        self.assertEqual(1, len(hook.handled))
        self.assertEqual({"guests are not watched": 1}, made._faults.counts())

    def test_it_says_once_that_it_is_there(self) -> None:
        made, _hook = self.made(nova_conf(topic="t", warm_timeout=7))
        with mock.patch.object(watcher, "logging_works", return_value=False):
            made.notify({}, {}, "INFO", -1)
        with (
            mock.patch.object(watcher, "logging_works", return_value=True),
            self.assertLogs(LOGGER) as logged,
        ):
            made.notify({}, {}, "INFO", -1)
            made.notify({}, {}, "INFO", -1)
        self.assertEqual(1, len(logged.records))
        self.assertIn("enabled: topic t, warm_timeout 7 s", logged.output[0])

    def test_in_nova_compute_it_pings_the_agent(self) -> None:
        with mock.patch.object(watcher, "start_once") as start_once:
            made, _hook = self.made(nova_conf())
        [ready] = [call.args[1] for call in start_once.call_args_list]
        with mock.patch.object(agent_link, "of") as link:
            ready()
        link.assert_called_once_with(made.conf, made.transport, made._faults)
        link.return_value.pings.start.assert_called_once_with()

import contextlib
import unittest
from collections.abc import Iterator
from typing import Any
from unittest import mock

import sqlalchemy as sa
from oslo_config import cfg
from oslo_upgradecheck.upgradecheck import Code, Result

from nova_cachemig.agent.journal.database import create_engine
from nova_cachemig.agent.journal.migrate import upgrade as upgrade_tables
from nova_cachemig.doctor import broker, upgrade
from tests.unit.doctor.files import Case

URL = "rabbit://u:p@r1/v"


@contextlib.contextmanager
def no_connection(*_: Any) -> Iterator[None]:
    """Instead of a connection: the functions that use it are fakes too."""
    yield None


class UpgradeTest(Case):
    def checks(self, *texts: str) -> upgrade.Checks:
        files = [self.write(f"{number}.conf", text) for number, text in enumerate(texts)]
        conf = cfg.ConfigOpts()
        conf([], default_config_files=files, default_config_dirs=[])
        return upgrade.Checks(conf)

    def result(self, name: str, *texts: str) -> Result:
        checks = self.checks(*texts)
        functions = dict(checks._upgrade_checks)
        function: Any = functions[name]
        found = function(checks)
        assert isinstance(found, Result)
        return found

    def test_options(self) -> None:
        name = "Options of earlier versions"
        self.assertEqual(Code.SUCCESS, self.result(name, "[journal]\nmin_free = 1m\n").code)
        old = "[cachemig_scheduler]\nsettle_time = 1\n"
        found = self.result(name, "", old)
        self.assertEqual(Code.WARNING, found.code)
        self.assertIn("1.conf: rename it to pending_time", found.details)
        gone = "[telemetry]\nnotification_topics = x\n"
        self.assertEqual(Code.FAILURE, self.result(name, old, gone).code)

    def test_the_drivers_of_notifications(self) -> None:
        name, ours = (
            "Drivers of notifications",
            "[oslo_messaging_notifications]\ndriver = cachemig\n",
        )
        self.assertEqual(Code.SUCCESS, self.result(name, "[agent]\ntopic = t\n").code)
        self.assertEqual(Code.SUCCESS, self.result(name, ours).code)
        found = self.result(name, f"[DEFAULT]\ninstance_usage_audit = true\n{ours}")
        self.assertEqual(Code.WARNING, found.code)
        self.assertIn("messagingv2", found.details)

    def on_bus(self, name: str, *texts: str, exists: bool = False, queues: Any = ()) -> Result:
        with (
            mock.patch.object(broker, "connected", no_connection),
            mock.patch.object(broker, "has_exchange", return_value=exists),
            mock.patch.object(broker, "conflicts", return_value=list(queues)) as conflicts,
        ):
            found = self.result(name, *texts)
        self.asked = conflicts.call_args_list
        return found

    def test_the_former_exchange(self) -> None:
        name, text = "Exchange of earlier versions", f"[DEFAULT]\ntransport_url = {URL}\n"
        self.assertEqual(Code.SUCCESS, self.on_bus(name, text).code)
        found = self.on_bus(name, text, text, exists=True)
        self.assertEqual(Code.WARNING, found.code)
        self.assertEqual(1, found.details.count("r1:5672, virtual host v"))  # one bus

    def test_queues_with_other_flags(self) -> None:
        name = "Flags of exchanges and queues"
        text = f"[cachemig]\ntransport_url = {URL}\n"
        self.assertEqual(Code.SUCCESS, self.on_bus(name, text).code)
        found = self.on_bus(name, text, "[agent]\ntopic = mine\n", queues=["queue mine"])
        self.assertEqual(Code.FAILURE, found.code)
        self.assertIn("queue mine", found.details)
        self.assertIn("mine", self.asked[0].args[1])

    def test_every_bus_is_asked(self) -> None:
        text = (
            "[telemetry]\ntransport_urls = rabbit://u:p@a/, rabbit://u:p@b/\n"
            "[forecaster]\ntransport_url = rabbit://u:p@c/\n"
        )
        self.on_bus("Flags of exchanges and queues", text)
        self.assertEqual(3, len(self.asked))

    def test_a_bus_that_is_down_or_malformed(self) -> None:
        name = "Exchange of earlier versions"
        with mock.patch.object(broker, "connected", side_effect=ConnectionRefusedError):
            found = self.result(name, f"[DEFAULT]\ntransport_url = {URL}\n")
        self.assertEqual(Code.WARNING, found.code)
        self.assertIn("cannot be checked", found.details)
        found = self.result(name, "[DEFAULT]\ntransport_url = nonsense\n")
        self.assertEqual(Code.WARNING, found.code)
        self.assertEqual(Code.SUCCESS, self.result(name, "[agent]\n").code)

    def test_the_journal(self) -> None:
        name = "Revision of the journal"
        text = f"[agent]\nstate_dir = {self.here}\n"
        self.assertIn("No file of an agent", self.result(name, "").details)
        found = self.result(name, text)
        self.assertEqual(Code.SUCCESS, found.code)
        self.assertIn("Not checked, because", found.details)
        engine = create_engine(f"sqlite:///{self.here}/journal.sqlite")
        upgrade_tables(engine)
        self.assertEqual(Code.SUCCESS, self.result(name, text).code)
        with engine.begin() as connection:
            connection.execute(sa.text("UPDATE alembic_version SET version_num = '0002'"))
        engine.dispose()
        self.assertEqual(Code.WARNING, self.result(name, text).code)
        bad = self.result(name, "[agent]\nwarm_time = many\n")
        self.assertEqual(Code.FAILURE, bad.code)


if __name__ == "__main__":
    unittest.main()

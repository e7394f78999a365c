"""Reading the agent's file."""

from __future__ import annotations

from unittest import mock

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class SetupTest(ConfTest):
    def test_defaults(self) -> None:
        conf = self.read()
        self.assertEqual("/var/lib/nova-cachemig", conf.agent.state_dir)

    def test_an_invalid_value_is_refused_at_the_start(self) -> None:
        with self.assertRaisesRegex(cfg.Error, "reload_interval"):
            self.read("[agent]\nreload_interval = often\n")

    def test_a_file_that_is_no_ini_file(self) -> None:
        with self.assertRaisesRegex(cfg.Error, r"nova-cachemig\.conf is not valid: .*:1, No ':'"):
            self.read("nonsense\n")

    def test_a_file_that_the_user_must_not_read(self) -> None:
        refusal = cfg.ConfigFilesPermissionDeniedError(["/etc/a.conf"])
        with (
            mock.patch.object(cfg.ConfigOpts, "__call__", side_effect=refusal),
            self.assertRaisesRegex(cfg.Error, "/etc/a.conf cannot be read: permission denied"),
        ):
            self.read()

    def test_groups_of_nova_conf_are_not_known(self) -> None:
        self.assertNotIn("cachemig", self.read())

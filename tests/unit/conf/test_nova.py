"""[nova]: keystoneauth1's options are in the same group."""

from __future__ import annotations

from oslo_config import cfg

from nova_cachemig.conf import nova
from tests.unit.conf.case import ConfTest


class NovaOptions(ConfTest):
    def test_the_group_has_keystoneauths_options(self) -> None:
        conf = self.read("[nova]\nauth_type = password\ntimeout = 7\ninterface = public\n")
        self.assertEqual(
            ("password", 7, "public"), (conf.nova.auth_type, conf.nova.timeout, conf.nova.interface)
        )

    def test_an_unknown_interface_is_refused(self) -> None:
        with self.assertRaises(cfg.Error):
            self.read("[nova]\ninterface = private\n")

    def test_the_sample_lists_the_password_plugin(self) -> None:
        ((_, options),) = nova.list_opts()
        names = {option.name for option in options}
        self.assertLessEqual({"region_name", "username", "auth_type"}, names)

"""[nova]: keystoneauth1's options are in the same group."""

from __future__ import annotations

from oslo_config import cfg

from nova_cachemig.conf import nova
from tests.unit.conf.case import ConfTest


class NovaOptions(ConfTest):
    def test_the_group_has_keystoneauths_options(self) -> None:
        conf = self.read("[nova]\nauth_type = password\ntimeout = 7\nconnect_retries = 2\n")
        self.assertEqual(
            ("password", 7, 2), (conf.nova.auth_type, conf.nova.timeout, conf.nova.connect_retries)
        )

    def test_the_internal_endpoint_is_preferred_and_the_public_one_suffices(self) -> None:
        self.assertEqual(["internal", "public"], self.read("").nova.valid_interfaces)

    def test_the_former_name_of_the_interface_is_accepted(self) -> None:
        conf = self.read("[nova]\ninterface = public\n")
        self.assertEqual(["public"], conf.nova.valid_interfaces)

    def test_an_unknown_interface_is_refused(self) -> None:
        with self.assertRaises(cfg.Error):
            self.read("[nova]\nvalid_interfaces = internal,private\n")

    def test_the_sample_lists_the_options_of_both_accounts(self) -> None:
        ((_, options),) = nova.list_opts()
        names = [option.dest for option in options]
        self.assertLessEqual(
            {"region_name", "username", "auth_type", "valid_interfaces", "cafile"}
            | {"application_credential_id", "application_credential_secret"},
            set(names),
        )
        self.assertEqual(len(set(names)), len(names))

"""[gnocchi]: keystoneauth1's options are in the same group as the queries."""

from __future__ import annotations

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class GnocchiOptions(ConfTest):
    def test_the_defaults_are_ceilometers(self) -> None:
        options = self.read("").gnocchi
        self.assertEqual(
            (["cpu = (aggregate mean (metric compute.node.cpu.percent mean))"], []),
            (options.host_query, options.instance_query),
        )
        self.assertEqual(
            ("metric", "nova_compute", "host_name", 300),
            (
                options.service_type,
                options.host_resource_type,
                options.host_attribute,
                options.granularity,
            ),
        )

    def test_the_account_is_in_the_same_group(self) -> None:
        options = self.read("[gnocchi]\nauth_type = http_basic\ntimeout = 7\n").gnocchi
        self.assertEqual(("http_basic", 7), (options.auth_type, options.timeout))

    def test_wrong_values_are_refused(self) -> None:
        for line in ("granularity = 0", "granularity = 3601", "valid_interfaces = private"):
            with self.subTest(line), self.assertRaisesRegex(cfg.Error, r"\[gnocchi\] "):
                self.read(f"[gnocchi]\n{line}\n")

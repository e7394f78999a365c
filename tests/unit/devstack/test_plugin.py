"""The DevStack plug-in on a controller and on a compute node.

It runs against stand-ins for DevStack's functions. With CACHEMIG_DEVSTACK=DIRECTORY, a checkout of
DevStack, it runs against the real ones.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import unittest
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.conf import setup

HARNESS = Path(__file__).with_name("harness.sh")
CONTROLLER = "key,rabbit,n-api,n-cpu,n-cond,n-sch"
COMPUTE = "n-cpu,q-agt"
URL = "rabbit://nova-cachemig:rabbit-secret@192.0.2.10:5672/nova-cachemig"
STACK = ("stack/install", "stack/post-config", "stack/extra")


class PluginTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.root / "systemd").mkdir()
        # as DevStack leaves it before the phase post-config
        (self.root / "nova.conf").write_text(
            "[oslo_messaging_notifications]\ndriver = messagingv2\n"
        )
        self.rabbit("/\n", "stackrabbit\t[]\n")

    def rabbit(self, vhosts: str, users: str) -> None:
        (self.root / "rabbit.list_vhosts").write_text(vhosts)
        (self.root / "rabbit.list_users").write_text(users)

    def run_phases(self, services: str, *phases: str, disabled: str = "") -> list[str]:
        """The recorded lines."""
        environment = {
            **os.environ,
            "ROOT": str(self.root),
            "ENABLED_SERVICES": services,
            "DISABLED_SERVICES": disabled,
        }
        done = subprocess.run(
            [str(HARNESS), *phases], env=environment, capture_output=True, text=True, check=False
        )
        self.assertEqual(0, done.returncode, done.stderr)
        log = self.root / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines

    def nova_conf(self) -> dict[str, dict[str, list[str]]]:
        found: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(self.root / "nova.conf"), found).parse()
        return found

    def only(self, lines: list[str], text: str) -> str:
        [line] = [line for line in lines if text in line]
        return line

    def test_the_controller_has_the_bus_and_the_agent(self) -> None:
        lines = self.run_phases(CONTROLLER, *STACK)
        nova = self.nova_conf()
        self.assertEqual(
            ["messagingv2", "cachemig"], nova["oslo_messaging_notifications"]["driver"]
        )
        self.assertEqual([URL], nova["cachemig"]["transport_url"])
        self.only(lines, "sudo rabbitmqctl add_vhost nova-cachemig")
        self.only(lines, "sudo rabbitmqctl add_user nova-cachemig rabbit-secret")
        rights = self.only(lines, "set_permissions -p nova-cachemig nova-cachemig")
        self.assertTrue(
            rights.endswith(
                r" ^nova-cachemig.*$ ^(nova-cachemig.*|amq\.default)$ ^nova-cachemig.*$"
            )
        )
        self.assertTrue(self.only(lines, "setup_develop").endswith(" scheduler,agent"))

    def test_the_agent_reads_its_file(self) -> None:
        self.run_phases(CONTROLLER, *STACK)
        path = self.root / "etc/nova-cachemig.conf"
        self.assertEqual(0o640, path.stat().st_mode & 0o777)
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(path)])
        self.assertEqual("/run/nova-cachemig", conf.engine.runtime_dir)
        self.assertEqual(str(self.root / "data/nova-cachemig"), conf.agent.state_dir)
        sections: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(path), sections).parse()
        self.assertEqual([URL], sections["DEFAULT"]["transport_url"])
        self.assertEqual(["nova-cachemig"], sections["nova"]["username"])

    def test_the_agent_and_its_engines_do_not_run_as_root(self) -> None:
        lines = self.run_phases(CONTROLLER, *STACK)
        directory = self.root / "systemd"
        added = (
            directory / "devstack@nova-cachemig-agent.service.d/nova-cachemig.conf"
        ).read_text()
        self.assertTrue(added.lstrip().startswith("[Service]"), added)
        for line in (
            "Type=notify",
            "KillMode=process",
            "RuntimeDirectoryPreserve=yes",
            "AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW",
            "NoNewPrivileges=yes",
        ):
            self.assertIn(f"\n{line}\n", added)
        for option in ("ExecStart=", "User=", "ProtectHome=", "StateDirectory"):
            self.assertNotIn(option, added)
        unit = directory / "devstack@nova-cachemig-agent.service"
        if unit.exists():  # DevStack's own function wrote it
            self.assertRegex(unit.read_text(), r"(?m)^User ?= ?nova-cachemig$")
        else:
            self.assertTrue(
                self.only(lines, "run_process").endswith(" nova-cachemig nova-cachemig")
            )

    def test_a_compute_node_has_the_base_package_and_no_agent(self) -> None:
        lines = self.run_phases(COMPUTE, *STACK, "unstack", "clean")
        self.assertEqual([URL], self.nova_conf()["cachemig"]["transport_url"])
        self.assertRegex(self.only(lines, "setup_develop"), r"setup_develop \S+$")
        for text in ("rabbitmqctl", "run_process", "install_package", "create_service_user"):
            self.assertFalse([line for line in lines if text in line], text)

    def test_local_conf_can_disable_the_agent(self) -> None:
        lines = self.run_phases(CONTROLLER, *STACK, disabled="nova-cachemig-agent")
        self.assertFalse((self.root / "etc").exists())
        self.only(lines, "add_vhost")

    def test_a_host_without_any_of_its_services_is_left_alone(self) -> None:
        self.assertEqual([], self.run_phases("c-vol,g-api", *STACK))

    def test_a_second_run_keeps_the_virtual_host_and_the_user(self) -> None:
        self.rabbit("/\nnova-cachemig\n", "stackrabbit\t[]\nnova-cachemig\t[]\n")
        lines = self.run_phases(CONTROLLER, *STACK)
        self.assertFalse([line for line in lines if "add_vhost" in line or "add_user" in line])
        self.only(lines, "change_password nova-cachemig rabbit-secret")

    def test_nothing_is_left_after_clean(self) -> None:
        self.run_phases(CONTROLLER, *STACK)
        lines = self.run_phases(CONTROLLER, "unstack", "clean")
        self.only(lines, "engine stop --yes --patience 0")
        self.only(lines, "rabbitmqctl delete_vhost nova-cachemig")
        self.only(lines, "rabbitmqctl delete_user nova-cachemig")
        for left in ("etc", "data/nova-cachemig", "systemd/devstack@nova-cachemig-agent.service.d"):
            self.assertFalse((self.root / left).exists(), left)


if __name__ == "__main__":
    unittest.main()

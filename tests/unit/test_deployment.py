"""The files under etc/ that operators copy: valid, and in agreement with the programs."""

from __future__ import annotations

import re
import tempfile
import unittest
from pathlib import Path
from typing import Any

import jinja2
import oslo_messaging
import yaml
from oslo_config import cfg

from nova_cachemig.conf import compute, setup
from nova_cachemig.doctor.verdicts import bus

ROOT = Path(__file__).parents[2]
ETC = ROOT / "etc"
ROLE = ETC / "ansible/roles/cache_node"
SECRETS = {
    "cache_node_transport_url": "rabbit://nova-cachemig:secret@192.0.2.11:5672/nova-cachemig",
    "cache_node_auth_url": "https://keystone.example.org:5000/v3",
    "cache_node_application_credential_id": "0123",
    "cache_node_application_credential_secret": "s%cret",
    "cache_node_host": "cache1",
}


class RoleTest(unittest.TestCase):
    def configured(self, **variables: Any) -> cfg.ConfigOpts:
        """The options of the agent with the role's template and these variables."""
        defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
        environment = jinja2.Environment(trim_blocks=True, undefined=jinja2.StrictUndefined)
        template = environment.from_string((ROLE / "templates/nova-cachemig.conf.j2").read_text())
        directory = Path(self.enterContext(tempfile.TemporaryDirectory()))
        path = directory / "nova-cachemig.conf"
        path.write_text(template.render({**defaults, **SECRETS, **variables}))
        conf = cfg.ConfigOpts()
        setup.read(conf, [str(path)])
        return conf

    def test_the_template_is_a_valid_configuration(self) -> None:
        conf = self.configured()
        self.assertEqual("v3applicationcredential", conf.nova.auth_type)
        self.assertEqual("cache1", conf.agent.host)
        self.assertIsNone(conf.nova.cafile)
        self.assertIsNone(conf.nova.region_name)
        self.assertEqual("nova-cachemig", oslo_messaging.TransportURL.parse(conf).virtual_host)

    def test_more_options_also_of_a_section_that_is_there(self) -> None:
        options = {"agent": {"warm_time": 30}, "warm": {"driver": "none"}}
        conf = self.configured(
            cache_node_options=options, cache_node_region_name="R", cache_node_cafile="/ca.pem"
        )
        self.assertEqual((30.0, "cache1"), (conf.agent.warm_time, conf.agent.host))
        self.assertEqual("none", conf.warm.driver)
        self.assertEqual(("R", "/ca.pem"), (conf.nova.region_name, conf.nova.cafile))

    def test_required_variables_are_checked(self) -> None:
        tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
        self.assertEqual(set(SECRETS) - {"cache_node_host"}, set(tasks[0]["loop"]))

    def test_each_notified_handler_exists(self) -> None:
        handlers = {one["name"] for one in yaml.safe_load((ROLE / "handlers/main.yml").read_text())}
        tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
        self.assertEqual(handlers, {task["notify"] for task in tasks if "notify" in task})

    def test_the_rights_are_those_of_the_doctor(self) -> None:
        remedy = bus.rights({"write": "x"}, user="u", vhost="v", calls=True).remedy
        wanted = remedy.split("-p v u ", 1)[1]
        playbook = (ETC / "ansible/rabbitmq.yml").read_text()
        self.assertIn(", ".join(wanted.split(" ")), playbook)


class SnippetTest(unittest.TestCase):
    def test_the_override_of_kolla_ansible(self) -> None:
        conf = cfg.ConfigOpts()
        compute.register(conf)
        conf.register_opt(cfg.MultiStrOpt("driver"), group="oslo_messaging_notifications")
        conf([], default_config_files=[str(ETC / "kolla/nova-compute.conf")])
        self.assertEqual(["cachemig"], conf.oslo_messaging_notifications.driver)
        url = oslo_messaging.TransportURL.parse(conf, conf.cachemig.transport_url)
        self.assertEqual(("nova-cachemig", 2), (url.virtual_host, len(url.hosts)))

    def test_the_template_of_kolla(self) -> None:
        text = (ETC / "kolla/template-overrides.j2").read_text()
        blocks = jinja2.Environment().from_string(text).blocks
        self.assertEqual({"nova_compute_footer", "nova_scheduler_footer"}, set(blocks))

    def test_the_variables_of_openstack_ansible(self) -> None:
        found = yaml.safe_load((ETC / "openstack-ansible/user_variables.yml").read_text())
        overrides = found["nova_nova_conf_overrides"]
        self.assertEqual({"cachemig"}, set(overrides["oslo_messaging_notifications"]["driver"]))
        known = {option.dest for option in compute.OPTS}
        self.assertLessEqual(set(overrides["cachemig"]), known)


class GuideTest(unittest.TestCase):
    """No package index has nova-cachemig, and its branch is not DevStack's default."""

    def test_the_guides_install_the_wheel(self) -> None:
        guides = [ROOT / "README.md", *(ROOT / "doc/source").rglob("*.rst")]
        lines = [line for guide in guides for line in guide.read_text().splitlines()]
        installs = [line for line in lines if re.search(r"pip3? install", line)]
        self.assertTrue([line for line in installs if "WHEEL" in line])
        self.assertEqual([], [line for line in installs if "install nova-cachemig" in line])
        self.assertEqual([], [line for line in installs if "nova-cachemig[" in line])

    def test_a_variable_with_spaces_is_quoted_for_ansible(self) -> None:
        for place in ("doc/source/operator/kolla.rst", "etc/ansible/rabbitmq.yml"):
            option = """-e 'cache_node_rabbitmqctl="docker exec rabbitmq rabbitmqctl"'"""
            self.assertIn(option, (ROOT / place).read_text())

    def test_devstack_gets_the_branch(self) -> None:
        guide = (ROOT / "doc/source/operator/devstack.rst").read_text()
        self.assertIn("enable_plugin nova-cachemig REPOSITORY main\n", guide)

    def test_openstack_ansible_names_the_extra_and_the_address(self) -> None:
        found = yaml.safe_load((ETC / "openstack-ansible/user_variables.yml").read_text())
        (package,) = found["nova_user_pip_packages"]
        # python_venv_build recognizes this form, and installs the wheel that it has built.
        self.assertRegex(package, r"^nova-cachemig\[scheduler\] @ \w+://\S+\.whl$")

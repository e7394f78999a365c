import unittest
from types import SimpleNamespace
from typing import Any
from unittest import mock

from oslo_config import cfg

from nova_cachemig.agent.offline import OfflineAgent
from nova_cachemig.cmd.manage import base
from nova_cachemig.cmd.manage.online import OnlineAgent
from nova_cachemig.conf import setup
from nova_cachemig.rpc import bus


def command(*, offline: bool, agent: str | None = None) -> Any:
    options = SimpleNamespace(offline=offline, agent=agent, timeout=3.0)
    conf = cfg.ConfigOpts()
    setup.register_all(conf)
    conf([], default_config_files=[])
    conf.set_override("host", "cache1", "agent")
    bus.require_url(conf, "fake://")  # registers transport_url
    conf.set_override("transport_url", "fake://")
    return SimpleNamespace(app=SimpleNamespace(options=options, conf=conf))


class AgentOfTest(unittest.TestCase):
    def test_the_agent_of_the_configuration_is_asked(self) -> None:
        with base.agent_of(command(offline=False)) as agent:
            self.assertIsInstance(agent, OnlineAgent)
            self.assertEqual("cache1", agent._host)  # type: ignore[attr-defined]

    def test_or_the_one_that_the_operator_names(self) -> None:
        with base.agent_of(command(offline=False, agent="cache2")) as agent:
            self.assertEqual("cache2", agent._host)  # type: ignore[attr-defined]

    def test_or_its_files(self) -> None:
        with base.agent_of(command(offline=True)) as agent:
            self.assertIsInstance(agent, OfflineAgent)


class OperatorTest(unittest.TestCase):
    def test_behind_sudo_it_is_who_called_it(self) -> None:
        with (
            mock.patch.dict("os.environ", {"SUDO_USER": "alice", "LOGNAME": "root"}),
            mock.patch("socket.gethostname", return_value="cache1"),
        ):
            self.assertEqual("alice@cache1", base.operator())

    def test_without_sudo_it_is_the_user(self) -> None:
        with (
            mock.patch.dict("os.environ", {"LOGNAME": "bob"}, clear=True),
            mock.patch("socket.gethostname", return_value="cache1"),
        ):
            self.assertEqual("bob@cache1", base.operator())

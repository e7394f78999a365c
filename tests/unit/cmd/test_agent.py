import contextlib
import io
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd import agent


class MainTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = Path(folder.name) / "agent.conf"
        self.config.write_text("")

    def main(self) -> tuple[int, str]:
        err = io.StringIO()
        arguments = ["nova-cachemig-agent", "--config-file", str(self.config)]
        with (
            mock.patch("sys.argv", arguments),
            mock.patch.object(agent.log, "setup"),
            contextlib.redirect_stderr(err),
        ):
            return agent.main(), err.getvalue()

    def test_a_mistake_in_the_configuration_is_one_line(self) -> None:
        self.config.write_text("[agent]\nreload_interval = soon\n")
        code, err = self.main()
        self.assertEqual(1, code)
        self.assertRegex(err, r"^nova-cachemig-agent: .*reload_interval.*\n$")

    def test_a_component_that_cannot_start_is_one_line(self) -> None:
        error = ComponentError("another agent uses the directory")
        with (
            mock.patch.object(agent, "Agent") as made,
            self.assertLogs("nova_cachemig.cmd.agent", "ERROR"),
        ):
            made.return_value.run = mock.AsyncMock(side_effect=error)
            code, err = self.main()
        self.assertEqual((1, "nova-cachemig-agent: another agent uses the directory\n"),
                         (code, err))  # fmt: skip

    def test_an_agent_that_is_told_to_stop_ends_with_0(self) -> None:
        with mock.patch.object(agent, "Agent") as made:
            made.return_value.run = mock.AsyncMock()
            self.assertEqual((0, ""), self.main())

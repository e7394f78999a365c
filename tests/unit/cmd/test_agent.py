import contextlib
import io
import logging
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.cmd import agent

_BUS = "[DEFAULT]\ntransport_url = rabbit://nova:secret@127.0.0.1/\n"
_NOVA = "[nova]\nauth_type = none\n"


class MainTest(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.config = Path(folder.name) / "agent.conf"
        self.config.write_text(f"{_BUS}{_NOVA}")
        # log.setup() is faked, so the level that another test has set would stay.
        self.addCleanup(logging.root.setLevel, logging.root.level)
        logging.root.setLevel(logging.WARNING)

    def main(self, *words: str) -> tuple[int, str]:
        err = io.StringIO()
        arguments = ["nova-cachemig-agent", *(words or ("--config-file", str(self.config)))]
        with (
            mock.patch("sys.argv", arguments),
            mock.patch.object(agent.log, "setup"),
            contextlib.redirect_stderr(err),
        ):
            return agent.main(), err.getvalue()

    def test_a_mistake_in_the_configuration_is_one_line(self) -> None:
        self.config.write_text(f"{_BUS}{_NOVA}[agent]\nreload_interval = soon\n")
        code, err = self.main()
        self.assertEqual(2, code)
        self.assertRegex(err, r"^nova-cachemig-agent: .*reload_interval.*\n$")

    def test_a_missing_option_is_one_line_that_names_it(self) -> None:
        for text, name in (
            ("", r"\[DEFAULT\] transport_url is not set"),
            ("[DEFAULT]\ntransport_url = nonsense\n", "transport_url is not valid"),
            (_BUS, r"\[nova\] auth_type is not set"),
            (f"{_BUS}[nova]\nauth_type = password\n", r"\[nova\] is not complete: .*auth_url"),
        ):
            self.config.write_text(text)
            code, err = self.main()
            self.assertEqual(2, code)
            self.assertRegex(err, rf"^nova-cachemig-agent: .*{name}.*\n$")

    def test_without_a_configuration_file_it_does_not_start(self) -> None:
        with mock.patch.object(agent.cfg, "find_config_files", return_value=[]):
            code, err = self.main("--debug")
        self.assertEqual(2, code)
        self.assertRegex(err, r"^nova-cachemig-agent: no configuration file: write /etc/.*\n$")
        self.config.unlink()
        code, err = self.main()
        self.assertEqual(2, code)
        self.assertIn(f"{self.config} does not exist", err)

    def test_help_says_what_the_program_is(self) -> None:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), self.assertRaises(SystemExit):
            self.main("--help")
        self.assertIn("Run the agent of nova-cachemig", out.getvalue())
        self.assertIn("usage: nova-cachemig-agent", out.getvalue())

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

    def test_an_agent_that_is_stopped_ends_with_0(self) -> None:
        with mock.patch.object(agent, "Agent") as made:
            made.return_value.run = mock.AsyncMock()
            code, err = self.main()
        self.assertEqual(0, code)
        self.assertNotIn("nova-cachemig-agent:", err)

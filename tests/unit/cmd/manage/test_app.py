import argparse
import contextlib
import io
import unittest

from nova_cachemig.cmd.manage import app
from tests.unit.cmd.manage.case import ManageCase

COMMANDS = (
    *("service add", "service list", "service show", "service remove", "service policy"),
    *("handover list", "handover show"),
    *("journal list", "journal show", "journal resend", "journal discard", "journal export"),
    *("forecast show", "forecast explain", "rank"),
)


class HelpTest(unittest.TestCase):
    def help(self, *words: str) -> str:
        out = io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            app.main([*words, "--help"])
        return out.getvalue()

    def test_help_needs_no_configuration(self) -> None:
        text = self.help()
        for words in COMMANDS:
            self.assertIn(words, text)
        for option in ("--offline", "--agent HOST", "--timeout SECONDS", "--config-file FILE"):
            self.assertIn(option, text)

    def test_without_a_command_it_points_to_the_help(self) -> None:
        err = io.StringIO()
        with contextlib.redirect_stderr(err), self.assertRaises(SystemExit) as raised:
            app.main([])
        self.assertEqual(2, raised.exception.code)
        self.assertIn("a command is missing; --help lists them", err.getvalue())

    def test_every_command_and_every_option_of_ours_has_help(self) -> None:
        program = app.ManageApp()
        for words in COMMANDS:
            command, _, _ = program.command_manager.find_command(words.split())
            parser = command(program, None).get_parser(words)
            self.assertTrue(parser.description, words)
            for action in parser._actions:
                if isinstance(action, argparse._HelpAction):
                    continue
                with self.subTest(f"{words} {action.dest}"):
                    self.assertTrue(action.help)


class ConfigurationTest(ManageCase):
    def test_a_missing_file_is_one_line(self) -> None:
        self.config.unlink()
        err = self.refuses("service", "list")
        self.assertEqual(1, len(err.splitlines()))
        self.assertIn(f"configuration file {self.config} does not exist", err)

    def test_a_missing_message_bus_is_one_line(self) -> None:
        self.config.write_text("")
        for words in (("service", "list"), ("forecast", "show")):
            [line] = self.refuses(*words).splitlines()
            self.assertIn("[DEFAULT] transport_url is not set", line)

    def test_a_mistake_is_one_line(self) -> None:
        self.config.write_text("[agent]\nreload_interval = soon\n")
        [line] = self.refuses("service", "list").splitlines()
        self.assertIn("reload_interval", line)

    def test_a_timeout_is_a_number_of_seconds(self) -> None:
        for wrong in ("0", "-1", "soon", "4000"):
            code, _, err = self.manage("--timeout", wrong, "handover", "list")
            self.assertEqual(2, code)
            self.assertIn("--timeout", err)

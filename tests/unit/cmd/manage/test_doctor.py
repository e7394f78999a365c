import contextlib
import io
import json
import unittest
from unittest import mock

from nova_cachemig.cmd.manage.app import ManageApp
from nova_cachemig.cmd.manage.doctor import Doctor
from nova_cachemig.conf import setup
from nova_cachemig.doctor import report
from nova_cachemig.doctor.verdict import Finding, failed, ok, warning
from tests.unit.cmd.manage.case import ManageCase

FINE = [Finding("b", ok("x")), Finding("a", warning("y", "z"))]


class DoctorTest(ManageCase):
    def test_findings_are_shown_in_their_order(self) -> None:
        with mock.patch.object(report, "findings", return_value=FINE) as findings:
            shown = json.loads(self.succeeds("doctor", "-f", "json", "--nova-conf", "/n.conf"))
        self.assertEqual(["b", "a"], [row["check"] for row in shown])
        self.assertEqual({"check": "a", "status": "warning", "what": "y", "remedy": "z"}, shown[1])
        (_, nova), options = findings.call_args
        self.assertEqual(["/n.conf"], nova)
        self.assertTrue(options["required"])  # the tests name a file

    def test_a_failure_is_exit_code_1(self) -> None:
        found = [*FINE, Finding("c", failed("x", "y"))]
        with mock.patch.object(report, "findings", return_value=found):
            for words in ([], ["-f", "json"]):
                code, out, _ = self.manage("doctor", *words)
                self.assertEqual(1, code)
                self.assertIn("failed", out)

    def test_wrong_usage_is_exit_code_2(self) -> None:
        code, _, err = self.manage("doctor", "--no-such-option")
        self.assertEqual(2, code)
        self.assertIn("--no-such-option", err)

    def test_the_usual_file_may_be_missing(self) -> None:
        with (
            mock.patch.object(report, "findings", return_value=FINE) as findings,
            contextlib.redirect_stdout(io.StringIO()),
        ):
            self.assertEqual(0, ManageApp().run(["doctor"]))
        findings.assert_called_once_with([setup.FILE], [], required=False)

    def test_it_is_a_command_of_the_program(self) -> None:
        found, _, _ = ManageApp().command_manager.find_command(["doctor"])
        self.assertIs(Doctor, found)


if __name__ == "__main__":
    unittest.main()

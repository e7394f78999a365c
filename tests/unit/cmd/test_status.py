import contextlib
import io
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.cmd import status


class StatusTest(unittest.TestCase):
    def setUp(self) -> None:
        made = tempfile.TemporaryDirectory()
        self.addCleanup(made.cleanup)
        self.here = Path(made.name)

    def run_main(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = status.main(words)
        return code, out.getvalue(), err.getvalue()

    def test_the_exit_code_is_that_of_the_worst_check(self) -> None:
        path = self.here / "a.conf"
        for text, code in (
            ("", 0),
            ("[journal]\nsettle = 1\n", 1),
            ("[telemetry]\nnotification_pool = x\n", 2),
        ):
            path.write_text(text)
            found, out, _ = self.run_main("--config-file", str(path), "upgrade", "check", "--json")
            self.assertEqual(code, found, out)
            results = {check["result"] for check in json.loads(out)["checks"]}
            self.assertEqual(code, max(results))

    def test_the_usual_files_are_read_if_they_exist(self) -> None:
        path = self.here / "nova.conf"
        path.write_text("[cachemig_scheduler]\nsettle_time = 1\n")
        with mock.patch.object(status, "FILES", (str(path), str(self.here / "none.conf"))):
            code, out, _ = self.run_main("upgrade", "check")
        self.assertEqual(1, code)
        self.assertIn("pending_time", " ".join(out.split()))

    def test_without_a_file_nothing_succeeds(self) -> None:
        files = (str(self.here / "a.conf"), str(self.here / "b.conf"))
        with mock.patch.object(status, "FILES", files):
            code, out, err = self.run_main("upgrade", "check")
        self.assertEqual((255, ""), (code, out))
        self.assertIn(f"nothing to check: neither {files[0]} nor {files[1]} exists", err)

    def test_a_file_that_does_not_exist(self) -> None:
        code, _, err = self.run_main("--config-file", "/none.conf", "upgrade", "check")
        self.assertEqual(255, code)
        self.assertIn("/none.conf", err)


if __name__ == "__main__":
    unittest.main()

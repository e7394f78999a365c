import io
import unittest
from pathlib import Path

import subunit

from tools import results


class Stream(unittest.TestCase):
    def test_a_stream_of_each_status(self) -> None:
        output = io.BytesIO()
        stream = subunit.StreamResultToBytes(output)
        for status in ("exists", "success", "fail", "uxsuccess", "xfail"):
            stream.status(test_id=f"t.{status}", test_status=status)
        stream.status(
            test_id="t.skip",
            test_status="skip",
            file_name="reason",
            file_bytes=b"no libvirt",
            mime_type="text/plain; charset=utf8",
            eof=True,
        )
        stream.status(test_id="t.never_ended", test_status="inprogress")
        output.seek(0)
        found = results.statuses(output)
        self.assertEqual(
            [
                ("t.success", "success", ""),
                ("t.fail", "fail", ""),
                ("t.uxsuccess", "uxsuccess", ""),
                ("t.xfail", "xfail", ""),
                ("t.skip", "skip", "no libvirt"),
                ("t.never_ended", "inprogress", ""),
            ],
            found,
        )
        self.assertEqual(results.Counts(1, 5, 0), results.judge(found, [])[0])


class Judging(unittest.TestCase):
    def test_a_skip_is_a_failure(self) -> None:
        counts, lines = results.judge([("t.a", "skip", "why")], [])
        self.assertEqual(results.Counts(0, 1, 0), counts)
        self.assertEqual(["FAILED, skipped  t.a: why"], lines)

    def test_unless_it_is_allowed(self) -> None:
        tests = [("t.a[x]", "skip", "why"), ("t.b", "skip", "why"), ("t.c", "success", "")]
        counts, lines = results.judge(tests, ["t.a*"])
        self.assertEqual(results.Counts(1, 1, 1), counts)
        self.assertEqual("skipped  t.a[x]: why", lines[0])

    def test_a_test_that_never_ran_is_a_failure(self) -> None:
        tests = [("t.a", "success", ""), ("t.b(x y)", "success", "")]
        listed = "warning: a line of another kind\n\nt.a\nt.b(x y)\nt.c\nt.d[a:1]\n"
        missing = results.without_result(tests, listed)
        self.assertEqual(["t.c", "t.d[a:1]"], missing)
        tests += [(name, results.NEVER_RAN, "") for name in missing]
        counts, lines = results.judge(tests, ["*"])
        self.assertEqual(results.Counts(2, 2, 0), counts)
        self.assertEqual(["FAILED, never ran  t.c", "FAILED, never ran  t.d[a:1]"], lines)


class Allowed(unittest.TestCase):
    def test_each_has_a_reason(self) -> None:
        text = "# a comment\n\nt.a.* : needs hardware: two hosts\n"
        self.assertEqual({"t.a.*": "needs hardware: two hosts"}, results.allowed_skips(text))
        with self.assertRaisesRegex(ValueError, "no reason: t.b"):
            results.allowed_skips("t.b\n")

    def test_the_file_of_this_project(self) -> None:
        text = Path(results.ALLOWED_SKIPS).read_text()
        self.assertEqual({}, results.allowed_skips(text))

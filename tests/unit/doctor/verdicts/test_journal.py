import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import journal


class JournalTest(unittest.TestCase):
    def test_revisions(self) -> None:
        for found, status in (
            ("0003", Status.OK),
            ("0002", Status.WARNING),
            (None, Status.WARNING),
            ("0004", Status.FAILED),
        ):
            self.assertEqual(status, journal.schema(found, "0003").status)

    def test_keys(self) -> None:
        for available, missing, wrong, mode, status in (
            ((), (), (), "none", Status.OK),
            (("a",), (), (), "file", Status.OK),
            (("a",), ("b",), (), "file", Status.FAILED),
            (("a",), (), ("a",), "file", Status.FAILED),
        ):
            with self.subTest(missing=missing, wrong=wrong):
                verdict = journal.keys(available, missing, wrong, mode)
                self.assertEqual(status, verdict.status)
                for name in (*missing, *wrong):
                    self.assertIn(name, verdict.what)


if __name__ == "__main__":
    unittest.main()

import math
import unittest

from nova_cachemig.rpc import checks


class ChecksTest(unittest.TestCase):
    def test_a_name_is_a_short_string(self) -> None:
        self.assertEqual("shop", checks.name("shop", "service"))
        for junk in ("", "x" * 256, None, 1, ["shop"]):
            with self.subTest(junk), self.assertRaisesRegex(ValueError, "^service is not a name"):
                checks.name(junk, "service")

    def test_an_optional_name_may_be_none(self) -> None:
        self.assertIsNone(checks.optional_name(None, "source"))
        with self.assertRaises(ValueError):
            checks.optional_name("", "source")

    def test_a_number_is_finite_and_no_bool(self) -> None:
        self.assertEqual(3.0, checks.number(3, "at"))
        for junk in ("1", None, True, math.nan, math.inf, 10**400):
            with self.subTest(junk), self.assertRaisesRegex(ValueError, "^at is not a number"):
                checks.number(junk, "at")

    def test_a_bounded_number_is_moved_into_its_bounds(self) -> None:
        self.assertEqual([0, 5, 9], [checks.between(n, "limit", 0, 9) for n in (-1, 5, 10**9)])

"""Options that are a number of bytes."""

from __future__ import annotations

import unittest

from nova_cachemig.conf.sizes import Size


class SizeTest(unittest.TestCase):
    def test_bytes_and_units(self) -> None:
        for text, expected in (
            ("0", 0),
            (4096, 4096),
            ("4096", 4096),
            ("64k", 64 << 10),
            ("16 M", 16 << 20),
            ("1g", 1 << 30),
        ):
            self.assertEqual(expected, Size()(text), text)

    def test_what_is_no_size_is_refused(self) -> None:
        for text in ("", "m", "-1", "1.5m", "16mb", "16 t", "k1"):
            with self.assertRaisesRegex(ValueError, "is not a size"):
                Size()(text)

    def test_bounds(self) -> None:
        size = Size(minimum=1024, maximum=2048)
        self.assertEqual([1024, 2048], [size("1k"), size("2k")])
        with self.assertRaisesRegex(ValueError, "less than 1024 bytes"):
            size("1023")
        with self.assertRaisesRegex(ValueError, "more than 2048 bytes"):
            size("1m")

    def test_equal_bounds_are_an_equal_type(self) -> None:
        self.assertEqual(Size(minimum=1), Size(minimum=1))
        self.assertNotEqual(Size(minimum=1), Size(minimum=2))
        self.assertEqual(1, len({Size(minimum=1), Size(minimum=1)}))
        self.assertEqual("Size(minimum=1, maximum=None)", repr(Size(minimum=1)))

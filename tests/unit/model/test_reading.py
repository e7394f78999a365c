"""A reading survives the wire; anything else is refused with the field's name."""

from __future__ import annotations

import json
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model.reading import Reading

NUMBERS = st.floats(0, 1e18)


class ReadingTest(unittest.TestCase):
    @given(
        st.builds(
            Reading,
            st.text(min_size=1, max_size=255),
            NUMBERS,
            NUMBERS,
            st.none() | NUMBERS,
            st.none() | NUMBERS,
        )
    )
    def test_round_trip(self, reading: Reading) -> None:
        self.assertEqual(reading, Reading.from_wire(json.loads(json.dumps(reading.to_wire()))))

    def test_each_field_is_validated(self) -> None:
        good = Reading("cmp1", 1.0, 2.0).to_wire()
        for field, value in (
            ("host", ""),
            ("host", "x" * 256),
            ("at", None),
            ("at", True),
            ("percent", float("nan")),
            ("percent", 10**400),
            ("busy", "7"),
            ("total", float("inf")),
        ):
            with self.subTest(field=field), self.assertRaisesRegex(ValueError, field):
                Reading.from_wire(good | {field: value})
        with self.assertRaisesRegex(ValueError, "not a reading"):
            Reading.from_wire([])

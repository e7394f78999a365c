"""Status URLs cannot be guessed and belong to one service."""

from __future__ import annotations

import unittest

from hypothesis import assume, given
from hypothesis import strategies as st

from nova_cachemig.agent.intake.status import PREFIX, position_of, url_of

SECRET = st.binary(min_size=32, max_size=32)


class StatusTest(unittest.TestCase):
    @given(SECRET, st.integers(1, 2**63 - 1))
    def test_round_trip(self, secret: bytes, position: int) -> None:
        self.assertEqual(position, position_of(secret, url_of(secret, position)))
        self.assertEqual(position, position_of(secret, url_of(secret, position) + "?x=1"))

    @given(SECRET, SECRET, st.integers(1, 2**63 - 1))
    def test_another_service(self, mine: bytes, yours: bytes, position: int) -> None:
        assume(mine != yours)
        self.assertIsNone(position_of(yours, url_of(mine, position)))

    @given(SECRET, st.text(max_size=60))
    def test_anything_else_names_nothing(self, secret: bytes, text: str) -> None:
        self.assertIsNone(position_of(secret, PREFIX + text))

    @given(SECRET, st.integers(1, 1000), st.data())
    def test_one_changed_letter(self, secret: bytes, position: int, data: st.DataObject) -> None:
        url = url_of(secret, position)
        at = data.draw(st.integers(len(PREFIX), len(PREFIX) + 23))
        other = data.draw(st.sampled_from("ABab01-_"))
        assume(url[at] != other)
        self.assertIsNone(position_of(secret, url[:at] + other + url[at + 1 :]))

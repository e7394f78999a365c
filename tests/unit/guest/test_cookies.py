"""Which cookies identify a client."""

from __future__ import annotations

import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.guest import cookies


class CookiesTest(unittest.TestCase):
    def test_logins(self) -> None:
        for value, name, expected in (
            ("", None, []),
            ("session=a; theme=dark", None, ["session=a"]),
            ("theme=dark; JSESSIONID=1; remember_me=2", None, ["JSESSIONID=1", "remember_me=2"]),
            ("csrftoken=1; sessionid=a", None, ["sessionid=a"]),
            ("XSRF-TOKEN=1; __RequestVerificationToken=2", None, []),
            ("who=alice", None, ["who=alice"]),
            ("who=alice; csrf=1; AWSALB=2", None, ["who=alice"]),
            ("who=alice; theme=dark", None, []),
            ("who=alice; session=a", "who", ["who=alice"]),
            ("session=a", "who", ["session=a"]),
        ):
            with self.subTest(value):
                self.assertEqual(expected, cookies.logins(value, name))

    @given(st.permutations(["a=1", "b=2", "c=3"]), st.sampled_from(["; ", ";", " ;  "]))
    def test_the_order_does_not_count(self, pairs: list[str], separator: str) -> None:
        self.assertEqual(["a=1", "b=2", "c=3"], cookies.parse(separator.join(pairs)))

"""Keys and fingerprints."""

from __future__ import annotations

import contextlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.agent.intake import keys as intake
from nova_cachemig.guest.key import MAX_KEY, BadKey, digest, fingerprint, parse

_PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1)


class ParseTest(unittest.TestCase):
    def test_strings(self) -> None:
        for value, key in (
            ('"k1"', "k1"),
            ('  "a b" ', "a b"),
            (r'"say \"yes\" \\ no"', r'say "yes" \ no'),
            ('"k";a;b=1;c=?0; d="x;y";e=tok/en;f=:aGk=:;*g=-1.5', "k"),
        ):
            self.assertEqual(key, parse(value, bare=False), value)

    def test_what_the_agent_sends(self) -> None:
        fresh = intake.fresh()
        self.assertEqual(fresh.strip('"'), parse(fresh, bare=False))

    def test_no_strings(self) -> None:
        for value in ("", '""', "k", "1", '"k', 'k"', '"k" "l"', '"k", "l"',
                      '"k\t"', '"\xe9"', r'"\a"', '"k";', '"k";A', '"k"\n',
                      f'"{"k" * (MAX_KEY + 1)}"', '"' * 5000):  # fmt: skip
            with self.assertRaises(BadKey, msg=value):
                parse(value, bare=False)

    def test_bare_ones_where_they_are_allowed(self) -> None:
        self.assertEqual("8e03978e-40d5", parse(" 8e03978e-40d5 ", bare=True))
        self.assertEqual("k", parse('"k"', bare=True))
        for value in ("", "a b", "a,b", '"k', "k" * (MAX_KEY + 1)):
            with self.assertRaises(BadKey, msg=value):
                parse(value, bare=True)

    @given(_PRINTABLE.filter(lambda text: len(text) <= MAX_KEY))
    def test_every_string_comes_back(self, text: str) -> None:
        written = text.replace("\\", "\\\\").replace('"', '\\"')
        self.assertEqual(text, parse(f'"{written}"', bare=False))

    @given(st.text(st.sampled_from('"\\;=k1 ,:?*'), max_size=40) | st.text(), st.booleans())
    def test_nothing_else_is_raised(self, value: str, bare: bool) -> None:
        with contextlib.suppress(BadKey):
            self.assertTrue(1 <= len(parse(value, bare=bare)) <= MAX_KEY)


class FingerprintTest(unittest.TestCase):
    @given(st.lists(st.binary(max_size=3), max_size=3), st.lists(st.binary(max_size=3), max_size=3))
    def test_the_same_only_if_each_component_is(self, one: list[bytes], other: list[bytes]) -> None:
        self.assertEqual(one == other, digest(one) == digest(other))

    def test_each_fact_counts(self) -> None:
        facts = ("POST", "shop.example", "/a?b", "text/plain", "a=1", b"1")
        mark = fingerprint(*facts)
        self.assertEqual(mark, fingerprint("POST", "Shop.Example", *facts[2:]))
        for index, other in enumerate(("PUT", "shop", "/a?c", "", "a=2", b"2")):
            changed = [*facts[:index], other, *facts[index + 1 :]]
            self.assertNotEqual(mark, fingerprint(*changed), other)

"""Parts and words of URLs."""

import unittest
import urllib.parse

from hypothesis import given
from hypothesis import strategies as st

from nova_cachemig.model import urltext


class SplitTest(unittest.TestCase):
    def test_parts(self):
        self.assertEqual(
            (["a b", "c"], [("x", "1 2"), ("y", ""), ("z", "a=b"), ("k", "v")]),
            urltext.split("/a%20b//c;k=v/?x=1+2&y&&z=a=b"),
        )
        self.assertEqual(([], []), urltext.split("/?"))

    def test_several_levels_of_encoding(self):
        self.assertEqual("logout", urltext.decoded("l%25256fgout"))
        self.assertEqual("100%", urltext.decoded("100%"))
        self.assertEqual("\ufffd", urltext.decoded("%ff"))

    @given(st.text())
    def test_any_text_is_split(self, text):
        segments, parameters = urltext.split("/" + text)
        self.assertNotIn("", segments)
        for name, value in parameters:
            self.assertIsInstance(name + value, str)

    @given(st.text(st.characters(codec="utf-8")))
    def test_quoted_text_is_one_segment(self, text):
        quoted = urllib.parse.quote(text.replace("%", ""), safe="")
        expected = text.replace("%", "")
        self.assertEqual([expected] if expected else [], urltext.split(f"/{quoted}").segments)


class WordsTest(unittest.TestCase):
    def test_words(self):
        for text, words in (
            ("add-to_cart", ["add", "to", "cart"]),
            ("cartAdd", ["cart", "add"]),
            ("AWSAccessKeyId", ["aws", "access", "key", "id"]),
            ("Déconnexion", ["deconnexion"]),
            ("ç\u0131k\u0131ş", ["cikis"]),
            ("löschen", ["loschen"]),
            ("groß", ["gross"]),
            ("a.b+c", ["a", "b", "c"]),
            ("", []),
            ("--", []),
        ):
            self.assertEqual(words, urltext.words(text))

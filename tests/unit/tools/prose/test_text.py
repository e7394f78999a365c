from __future__ import annotations

import unittest

from tools.prose.text import CODE, Block, Kind, paragraphs, sentences, without_code, words


def texts(source: str) -> list[str]:
    lines = list(enumerate(source.split("\n"), 1))
    return [block.text for block in paragraphs(Kind.COMMENT, lines)]


class ParagraphsTest(unittest.TestCase):
    def test_blank_lines_and_list_items_divide(self) -> None:
        self.assertEqual(
            ["One\ntwo.", "Three", "four\nfive"], texts("One\ntwo.\n\n- Three\n- four\n  five")
        )

    def test_literal_blocks_are_left_out(self) -> None:
        self.assertEqual(["Run::", "Then stop."], texts("Run::\n\n    make it so\n\nThen stop."))

    def test_a_definition_is_apart_from_its_term(self) -> None:
        self.assertEqual(["term", "Its meaning."], texts("term\n    Its meaning."))

    def test_lines_count_from_the_first(self) -> None:
        block = Block(Kind.DOC, 7, "one\ntwo\nthree")
        self.assertEqual(9, block.line_at(block.text.index("three")))


class SentencesTest(unittest.TestCase):
    def test_abbreviations_and_numbers_do_not_end_one(self) -> None:
        text = "It waits, e.g. Nova does, for 1.5 s. Then it goes on (see RFC 9110). Done!"
        self.assertEqual(
            ["It waits, e.g. Nova does, for 1.5 s.", "Then it goes on (see RFC 9110).", "Done!"],
            [sentence for _, sentence in sentences(text)],
        )

    def test_a_position_is_that_of_the_sentence(self) -> None:
        text = "One.\nTwo."
        self.assertEqual([0, 5], [position for position, _ in sentences(text)])

    def test_inline_code_is_one_word(self) -> None:
        text = without_code("Set ``[warm] max_rate = 4`` first")
        self.assertEqual(f"Set {CODE} first", text)
        self.assertEqual(3, words(text))

    def test_inline_code_keeps_its_line_breaks(self) -> None:
        self.assertEqual(f"{CODE}\n x", without_code("``a\nb`` x"))

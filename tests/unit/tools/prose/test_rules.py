from __future__ import annotations

import unittest
from typing import Any

import jsonschema

from tools.prose.rules import Finding, Rules
from tools.prose.text import Block, Kind

DATA: dict[str, Any] = {
    "sentence_words": 10,
    "phrases": [
        {"find": r"\bat once\b", "use": "immediately"},
        {"find": r"\brooms?\b", "use": "package", "outside": "doc/contributor/"},
        {"find": r"\banswers\b", "use": "response", "only": ["doc"]},
    ],
    "openings": [{"find": r"What (?!.*\?)\S+", "use": "the thing itself"}],
    "names": {"Lane": "ConnectionPool"},
    "acronyms": ["TCP"],
    "commits": {
        "after": "0000000",
        "length": 40,
        "form": r"(?:[a-z]+: )?[^\s:]+ .*[^.]",
        "not_imperative": r"(?:the\b|[a-z]+ed\b)",
        "exceptions": {"1234567": "older than the rule"},
    },
    "exceptions": [],
}


class RulesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.rules = Rules(DATA)

    def found(self, text: str, kind: Kind = Kind.DOC, path: str = "doc/a.rst") -> list[Finding]:
        return list(self.rules.check(path, Block(kind, 5, text)))

    def test_a_phrase_is_found_across_lines(self) -> None:
        finding = self.found("It goes\nout at\nonce.")[0]
        self.assertEqual("doc/a.rst:6: phrase: “at once”: immediately", str(finding))

    def test_a_phrase_is_allowed_outside_of_its_paths_and_kinds(self) -> None:
        self.assertEqual([], self.found("the room", path="doc/contributor/a.rst"))
        self.assertEqual([], self.found("it answers", Kind.COMMENT))
        self.assertEqual(2, len(self.found("the room answers")))

    def test_a_sentence_may_not_be_long(self) -> None:
        ten = "One two three four five six seven eight nine ten."
        self.assertEqual([], self.found(f"{ten} {ten}"))
        self.assertEqual("long sentence", self.found(f"{ten[:-1]} eleven.")[0].rule)

    def test_an_opening_but_not_a_question(self) -> None:
        self.assertEqual(["opening"], [f.rule for f in self.found("Yes. What it has is kept.")])
        self.assertEqual([], self.found("What does it cost?"))

    def test_an_acronym_must_be_known(self) -> None:
        self.assertEqual(["XYZ"], [f.text for f in self.found("TCP and XYZ")])

    def test_a_name_that_was_replaced(self) -> None:
        self.assertEqual("use ConnectionPool", self.found("Lane", Kind.NAME)[0].use)
        self.assertEqual([], self.found("Lanes", Kind.NAME))

    def test_data_without_a_reason_is_refused(self) -> None:
        for entry in (
            {"path": "a.rst", "text": "at once"},
            {"path": "a", "text": "b", "reason": ""},
        ):
            with self.subTest(entry), self.assertRaises(jsonschema.ValidationError):
                Rules(DATA | {"exceptions": [entry]})

    def test_the_rules_of_the_project_make_sense(self) -> None:
        known = Rules.read(known=frozenset({"ABC"})).acronyms
        self.assertLessEqual({"ABC", "HTTP"}, known)


class SubjectTest(unittest.TestCase):
    def test_subjects(self) -> None:
        rules = Rules(DATA)
        for subject, wrong in (
            ("rpc: split the bus from the contracts", 0),
            ("rpc: the bus is split", 1),
            ("rpc: fixed the bus", 1),
            ("rpc: split the bus.", 1),
            ("rpc: split", 1),
            ("rpc: split the bus from the contracts of all agents", 1),
        ):
            with self.subTest(subject):
                self.assertEqual(wrong, len(list(rules.subject("abcdefabc", subject))))
        self.assertEqual([], list(rules.subject("1234567abc", "the bus was split")))

"""Errors as documents."""

from __future__ import annotations

import unittest

import jsonschema

from nova_cachemig.api import errors


class ErrorsTest(unittest.TestCase):
    def test_every_status_has_a_title_and_a_code(self) -> None:
        for status in errors.TITLES:
            document = errors.body(errors.ApiError(status, "why"), "req-1")
            jsonschema.validate(document, errors.ERRORS_SCHEMA)
            (entry,) = document["errors"]
            self.assertNotEqual("cachemig.error", entry["code"])
            self.assertEqual((status, "why", "req-1"), tuple(entry[k] for k in _FIELDS))

    def test_another_status(self) -> None:
        (entry,) = errors.body(errors.ApiError(418, "why", fields={"min_version": "1.0"}), "")[
            "errors"
        ]
        self.assertEqual(("cachemig.error", "1.0"), (entry["code"], entry["min_version"]))


_FIELDS = ("status", "detail", "request_id")

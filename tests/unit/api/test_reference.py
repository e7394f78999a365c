"""The reference has every call and every field of the schemas."""

from __future__ import annotations

import io
import unittest

import docutils.core

from nova_cachemig.api import reference
from nova_cachemig.api.calls import CALLS
from nova_cachemig.api.services import SERVICE


class ReferenceTest(unittest.TestCase):
    def test_every_call_and_field(self) -> None:
        text = reference.text(CALLS)
        for call in CALLS:
            self.assertIn(f"\n{call.method} {call.path}\n---", "\n" + text)
            for rule in call.rules:
                self.assertIn(f"``{rule}``", text)
        for field in SERVICE["properties"]:
            self.assertIn(f"``services[].{field}``", text)
        self.assertIn("``resend.reason``", text)

    def test_it_is_valid(self) -> None:
        problems = io.StringIO()
        settings = {"warning_stream": problems, "report_level": 2}
        docutils.core.publish_doctree(reference.text(CALLS), settings_overrides=settings)
        self.assertEqual("", problems.getvalue())

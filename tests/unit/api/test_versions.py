"""The microversion that a request names."""

from __future__ import annotations

import unittest

from nova_cachemig.api import versions
from nova_cachemig.api.errors import ApiError


class VersionsTest(unittest.TestCase):
    def requested(self, text: str) -> tuple[int, int]:
        version = versions.requested({versions.HEADER: text})
        return (version.major, version.minor)

    def test_valid_ones(self) -> None:
        self.assertEqual(versions.MIN, versions.requested({}))
        self.assertEqual((1, 0), self.requested("cachemig 1.0"))
        self.assertEqual(versions.MAX, self.requested("cachemig latest"))
        self.assertEqual(versions.MIN, self.requested("compute 2.1"))

    def test_others(self) -> None:
        for text, status in (("cachemig 2.0", 406), ("cachemig 0.9", 406), ("cachemig x", 400),
                             ("cachemig 1", 400), ("cachemig 1.0.0", 400)):  # fmt: skip
            with self.subTest(text), self.assertRaises(ApiError) as caught:
                self.requested(text)
            self.assertEqual(status, caught.exception.status)

    def test_each_version_has_its_changes(self) -> None:
        self.assertIn(str(versions.MIN), versions.HISTORY)
        self.assertEqual(str(versions.MAX), list(versions.HISTORY)[-1])
        self.assertEqual("http://x/v1/", versions.document("http://x")["links"][0]["href"])

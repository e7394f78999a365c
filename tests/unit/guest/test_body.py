"""Bodies that are read before the application gets the request."""

from __future__ import annotations

import errno
import unittest
from unittest import mock

from nova_cachemig.guest.body import Body, NoRoom, TooLarge


class BodyTest(unittest.TestCase):
    def make(self, limit: int) -> Body:
        body = Body(limit)
        self.addCleanup(body.close)
        return body

    def test_content_and_digest(self) -> None:
        one, other = self.make(200_000), self.make(200_000)
        one.add(b"x" * 200_000)
        for _ in range(4):
            other.add(b"x" * 50_000)
        self.assertEqual(one.rewind(), other.rewind())
        self.assertEqual(b"x" * 200_000, other.file.read())
        self.assertEqual(200_000, other.length)
        self.assertNotEqual(one.rewind(), self.make(1).rewind())

    def test_limit(self) -> None:
        body = self.make(3)
        body.add(b"abc")
        with self.assertRaises(TooLarge):
            body.add(b"d")

    def test_full_disk(self) -> None:
        body = self.make(10)
        full = OSError(errno.ENOSPC, "full")
        with mock.patch.object(body.file, "write", side_effect=full), self.assertRaises(NoRoom):
            body.add(b"abc")

from __future__ import annotations

import unittest

from tools.measurement.responses import is_hit, is_storable, whole_number


def headers(*lines: str) -> list[tuple[bytes, bytes]]:
    pairs = (line.split(": ", 1) for line in lines)
    return [(name.lower().encode(), value.encode()) for name, value in pairs]


class HitTest(unittest.TestCase):
    def test_rfc_9211(self) -> None:
        for value in ("edge; hit", "edge;hit", "a; fwd=miss, b; hit; ttl=-3", "edge; hit=?1"):
            self.assertTrue(is_hit(headers(f"Cache-Status: {value}")), value)
        for value in ("edge; fwd=miss", "hit", "edge; detail=hit", "edge; hit=?0"):
            self.assertFalse(is_hit(headers(f"Cache-Status: {value}")), value)
        self.assertFalse(is_hit(headers("X-Cache: HIT")))

    def test_several_lines(self) -> None:
        lines = headers("Cache-Status: inner; fwd=miss", "Cache-Status: edge; hit")
        self.assertTrue(is_hit(lines))


class StorableTest(unittest.TestCase):
    def test_allowed(self) -> None:
        for line in ("Cache-Control: max-age=60", "Vary: Accept", "X: y", "Cache-Control: public"):
            self.assertTrue(is_storable(200, headers(line)), line)

    def test_forbidden(self) -> None:
        for line in (
            "Cache-Control: No-Store",
            "Cache-Control: max-age=60, private",
            'Cache-Control: no-cache="set-cookie"',
            "Set-Cookie: a=b",
            "Vary: *",
        ):
            self.assertFalse(is_storable(200, headers(line)), line)
        for status in (0, 201, 403, 500, 503):
            self.assertFalse(is_storable(status, []), status)


class NumberTest(unittest.TestCase):
    def test_one_number(self) -> None:
        self.assertEqual(17, whole_number(headers("X-Write-Seq: 17"), b"x-write-seq"))
        for line in ("X-Write-Seq: -1", "X-Write-Seq: 1, 2", "X-Write-Seq: ", "Y: 1"):
            self.assertIsNone(whole_number(headers(line), b"x-write-seq"), line)

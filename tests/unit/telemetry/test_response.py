"""Responses that do not end, are too long, or are encoded in an unexpected way."""

import itertools
import threading
import time
import unittest

from nova_cachemig.telemetry import response
from nova_cachemig.telemetry.source import SourceError, UnreachableError

NEVER = float("inf")


class BodyTest(unittest.TestCase):
    def test_chunks_are_joined(self) -> None:
        for encoding in (None, "", "identity", "gzip", "GZIP"):
            self.assertEqual(b"abc", response.body(encoding, [b"ab", b"c"], NEVER))
        self.assertEqual(b"", response.body(None, [], NEVER))

    def test_an_endless_body_is_read_up_to_the_limit(self) -> None:
        chunks = itertools.count()
        endless = (bytes(2**20) for _ in chunks)
        with self.assertRaisesRegex(response.TooLargeError, "^the response is larger than 32 MiB$"):
            response.body(None, endless, NEVER)
        self.assertEqual(response.LIMIT // 2**20 + 1, next(chunks))

    def test_a_late_body_is_not_read_further(self) -> None:
        endless = itertools.repeat(b"")
        with self.assertRaises(UnreachableError):
            response.body(None, endless, time.monotonic() - 1)

    def test_an_encoding_of_several_is_refused_unread(self) -> None:
        for encoding in ("gzip, gzip", "br", "zstd"):
            with self.assertRaisesRegex(SourceError, f"'{encoding}'"):
                response.body(encoding, iter(int, 1), NEVER)  # type: ignore[arg-type]


class RequestsTest(unittest.TestCase):
    def test_the_result_or_the_error_of_a_request(self) -> None:
        requests = response.Requests(60.0)
        self.assertGreater(requests.run(lambda deadline: deadline), time.monotonic())
        with self.assertRaises(ZeroDivisionError):
            requests.run(lambda _: 1 / 0)

    def test_one_that_hangs_is_left_behind(self) -> None:
        gate = threading.Event()
        self.addCleanup(gate.set)
        with self.assertRaisesRegex(UnreachableError, "^no response within 0.1 s$"):
            response.Requests(0.1).run(lambda _: gate.wait())

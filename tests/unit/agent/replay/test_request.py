"""The requests that the guest gets, byte by byte."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.replay.request import head, retry_after
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse


class RequestTest(unittest.TestCase):
    def make(self, **facts: object) -> AcceptedWrite:
        return AcceptedWrite(
            "shop", 1, 1.0, "PUT", "/a?b", "h:8", (("x", "\xe9"),), Body.of(b"abc"), "c", **facts
        )

    def test_head(self) -> None:
        expected = b'PUT /a?b HTTP/1.1\r\nhost: h:8\r\nx: \xe9\r\nidempotency-key: "k"\r\n'
        self.assertEqual(expected + b"content-length: 3\r\n\r\n", head(self.make(key='"k"')))

    def test_no_length_for_a_request_without_a_body(self) -> None:
        self.assertNotIn(b"content-length", head(self.make(framed=False)))

    def test_a_guest_that_still_processes_the_first_try(self) -> None:
        keyed = self.make(key='"k"', honours_keys=True)
        soon = GuestResponse(409, (("retry-after", "1"),))
        self.assertEqual(1.0, retry_after(keyed, soon))
        self.assertEqual(5.0, retry_after(keyed, GuestResponse(409, (("retry-after", "900"),))))
        self.assertEqual(0.1, retry_after(keyed, GuestResponse(409, (("retry-after", "0"),))))
        for other in (
            GuestResponse(409),
            GuestResponse(409, (("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT"),)),
            GuestResponse(503, (("retry-after", "1"),)),
        ):
            self.assertIsNone(retry_after(keyed, other), other)
        self.assertIsNone(retry_after(self.make(key='"k"'), soon))

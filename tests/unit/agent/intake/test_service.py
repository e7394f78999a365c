"""The responses of a service's writes, and the reads that wait for them."""

from __future__ import annotations

import dataclasses
import unittest
from unittest import mock

from nova_cachemig.agent.intake.service import WriteReads
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

WRITE = AcceptedWrite("shop", 1, 1.0, "POST", "/cart/x", "shop.example", (), Body.of(b""), "c")


class WriteReadsTest(unittest.TestCase):
    def test_a_response_releases_the_reads_of_its_write(self) -> None:
        barrier, release = mock.Mock(), mock.Mock()
        reads = WriteReads(barrier, mock.Mock(), None)
        reads.release(1, WRITE, GuestResponse(201, (("location", "/cart/7"),)), release)
        reads.release(1, WRITE, None, release)
        reads.release(1, None, None, release)
        self.assertEqual(
            [
                mock.call(1, "shop.example", ("/cart/x", "/cart/7"), release),
                mock.call(1, "shop.example", ("/cart/x",), release),
                mock.call(1, "", (), release),
            ],
            barrier.release.call_args_list,
        )
        release.assert_not_called()  # that is the barrier's task

    def test_a_keyed_response_with_cookies_waits_for_the_other_digest(self) -> None:
        barrier, release, journal = mock.Mock(), mock.Mock(), mock.Mock()
        reads = WriteReads(barrier, journal, None)
        keyed = dataclasses.replace(WRITE, key='"k"', client_key=True)
        reads.release(1, keyed, GuestResponse(200, (("set-cookie", "a=1"),)), release)
        barrier.release.call_args.args[-1]()
        release.assert_not_called()
        *names, done = journal.add_key.call_args.args
        self.assertEqual((WRITE.service, 4), (names[0], len(names)))
        done(None)
        release.assert_called_once()

"""The responses of a service's writes, and the reads that wait for them."""

from __future__ import annotations

import dataclasses
import unittest
from unittest import mock

from nova_cachemig.agent.intake.service import ServiceIntake
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse
from tests.functional.replay.path import service

WRITE = AcceptedWrite("shop", 1, 1.0, "POST", "/cart/x", "shop.example", (), Body.of(b""), "c")


class ServiceIntakeTest(unittest.TestCase):
    def test_a_response_releases_the_reads_of_its_write(self) -> None:
        barrier, release = mock.Mock(), mock.Mock()
        intake = ServiceIntake(mock.Mock(), barrier, b"", mock.Mock())
        intake.on_response(WRITE, GuestResponse(201, (("location", "/cart/7"),)), release)
        intake.on_response(WRITE, None, release)
        page = ("shop.example", "/cart/x", "c")
        self.assertEqual(
            [mock.call(*page, ("/cart/7",), release), mock.call(*page, (), release)],
            barrier.release_reads.call_args_list,
        )
        release.assert_not_called()  # that is the barrier's task

    def test_a_keyed_response_with_cookies_waits_for_the_other_digest(self) -> None:
        barrier, release, journal = mock.Mock(), mock.Mock(), mock.Mock()
        queue = mock.Mock(service=service())
        intake = ServiceIntake(queue, barrier, b"", journal)
        keyed = dataclasses.replace(WRITE, key='"k"', client_key=True)
        intake.on_response(keyed, GuestResponse(200, (("set-cookie", "a=1"),)), release)
        barrier.release_reads.call_args.args[-1]()
        release.assert_not_called()
        *names, done = journal.add_key.call_args.args
        self.assertEqual((WRITE.service, 4), (names[0], len(names)))
        done(None)
        release.assert_called_once()

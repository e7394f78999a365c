"""The kept requests of each service, and their bounds."""

import unittest

from nova_cachemig.model.access import AccessRecord
from nova_cachemig.popularity.sampling import (
    MAX_REQUESTS,
    MAX_SERVICES,
    MAX_URL,
    RequestSamples,
    Seen,
)


def access(url="/a", cookies=(), service="shop"):
    return AccessRecord(service, "10.0.0.1", "GET", "h", url, 200, 5.0, 0.1, cookies=cookies)


class RequestSamplesTest(unittest.TestCase):
    def setUp(self):
        self.samples = RequestSamples(seed=1)

    def test_only_sampled_requests_are_kept(self):
        self.samples.record(access(cookies=None))
        self.assertEqual((0.0, []), self.samples.sample("shop"))
        self.samples.record(access(cookies=("sid",)))
        self.assertEqual((5.0, [Seen("GET", "/a", 200, ("sid",))]), self.samples.sample("shop"))

    def test_secrets_are_not_kept(self):
        self.samples.record(access("/a?token=abc", ("sid", "9f8Kd0aQ7xZ2LmWv")))
        (seen,) = self.samples.sample("shop")[1]
        self.assertNotIn("abc", seen.url)
        self.assertEqual(("sid",), seen.cookies)

    def test_a_flood_takes_bounded_memory_and_old_requests_are_replaced(self):
        self.samples.record(access("/" + "a" * MAX_URL))
        for number in range(6 * MAX_REQUESTS):
            self.samples.record(access(f"/{number}"))
        kept = [int(one.url[1:]) for one in self.samples.sample("shop")[1]]
        self.assertEqual(MAX_REQUESTS, len(kept))
        self.assertGreater(sum(number >= MAX_REQUESTS for number in kept), MAX_REQUESTS // 2)

    def test_the_service_without_requests_for_longest_is_forgotten(self):
        for number in range(MAX_SERVICES + 1):
            self.samples.record(access(service=f"s{number}"))
        self.assertEqual([], self.samples.sample("s0")[1])
        self.assertEqual(1, len(self.samples.sample("s1")[1]))

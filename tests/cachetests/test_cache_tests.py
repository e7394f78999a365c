"""The suite http-cache-tests against the edge in the replay."""

from __future__ import annotations

import sys

from tests.cachetests import judge
from tests.cachetests.known import COMMIT, RELEASE
from tests.cachetests.rig import ONLY, PACKAGES, SuiteCase

REQUIRED = 141
"""The required tests that must pass at least."""


class CacheTests(SuiteCase):
    async def test_only_the_known_tests_fail(self) -> None:
        results = await self.run_suite()
        sys.stderr.write(f"{judge.table(results)}\n")
        if ONLY:
            self.assertEqual([True], [one.passed for one in results])
            return
        release = (PACKAGES / "node_modules/http-cache-tests/client").exists()
        self.assertEqual([], judge.surprises(results, RELEASE if release else COMMIT))
        self.assertGreaterEqual(judge.passed(results), REQUIRED)
        # No cache passes the release's tests of "stale": see known.py.
        groups = judge.WHOLE - {"stale"} if release else judge.WHOLE
        self.assertEqual([], judge.incomplete(results, groups))

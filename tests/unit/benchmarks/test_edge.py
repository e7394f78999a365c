"""The parser reads wrk's report correctly."""

from __future__ import annotations

import unittest

from benchmarks.edgelib.load import parse

REPORT = """Running 3s test @ http://127.0.0.1:1/page
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     2.43ms    1.90ms  30.25ms   89.29%
    Req/Sec    13.90k     1.17k   15.66k    75.00%
  Latency Distribution
     50%  850.00us
     75%    3.00ms
     90%    4.90ms
     99%    1.02s
  41533 requests in 3.00s, 44.56MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec:  13844.62
Transfer/sec:     14.85MB
"""


class Parse(unittest.TestCase):
    def test_a_report(self) -> None:
        result = parse(REPORT, cpu=1.0)
        self.assertEqual((41533, 10, 13844.62), (result.requests, result.failed, result.rate))
        self.assertEqual((0.85, 1020.0, 24.1), (result.p50_ms, result.p99_ms, result.cpu_us))

    def test_anything_else_is_refused(self) -> None:
        for report in ("", "unable to connect", REPORT.replace("99%", "98%")):
            with self.assertRaises(ValueError):
                parse(report, cpu=1.0)

"""Log lines: parsing, and that a client cannot forge a field."""

from __future__ import annotations

import base64
import unittest

from hypothesis import given, settings
from hypothesis import strategies as st

from nova_cachemig.agent.engine import accesslog, names
from nova_cachemig.model.reads import Facts


def line(**fields: object) -> bytes:
    """Return a line in the form in which HAProxy writes it."""
    values: dict[str, object] = {
        "svc": "shop",
        "src": "10.0.0.9",
        "status": 200,
        "at": 1700000000123456,
        "total": 1500,
        "queued": 2,
        "connected": 3,
        "responded": 40,
        "end": "--",
        "served": "-",
        "error": "-",
        "wait": "-",
        "facts": "-",
        "cookies": 0,
        "method": b"GET",
        "host": b"shop.example",
        "url": b"/a?b=c",
        "forwarded": "-",
        "agent": b"Mozilla/5.0 (X11)",
        "accept": b"*/*",
        "language": "-",
        "sampled": "-",
        "names": "-",
        **fields,
    }
    fields_ = [
        (base64.b64encode(v).decode() or "-") if isinstance(v, bytes) else str(v)
        for v in values.values()
    ]
    return f"v5 {' '.join(fields_)} end".encode()


class Parse(unittest.TestCase):
    def test_every_field(self) -> None:
        record = accesslog.parse(
            line(svc=names.encode_service("my shop"), served="stale", cookies=1)
        )
        assert record is not None
        access = record.access
        self.assertEqual(("my shop", "10.0.0.9"), (access.service, access.client))
        self.assertEqual(
            ("GET", "shop.example", "/a?b=c"), (access.method, access.host, access.url)
        )
        self.assertEqual((200, 1700000000.123456, 1.5), (access.status, access.at, access.seconds))
        self.assertTrue(access.has_cookie)
        self.assertEqual("", access.forwarded)
        self.assertEqual(
            ("Mozilla/5.0 (X11)", "*/*", ""), (access.agent, access.accept, access.language)
        )
        self.assertEqual(("stale", "", False), (record.served, record.error, record.held))
        self.assertAlmostEqual(0.045, record.wait)

    def test_the_names_of_the_cookies_of_a_sampled_request(self) -> None:
        for fields, expected in (
            ({"names": b"a=; b="}, None),
            ({"sampled": "1"}, ()),
            ({"sampled": "1", "names": b"a=; b=;a=; ;=;c=; value"}, ("a", "b", "c")),
        ):
            record = accesslog.parse(line(**fields))
            assert record is not None
            self.assertEqual(expected, record.access.cookies)

    def test_the_facts_of_a_request_in_a_handover(self) -> None:
        page = "page|shielded|warm|-|-|2|40|-|-|-|13|1.12"
        for facts, expected in {
            "-": None,
            page: Facts("page", "shielded", "warm", plain=2, shared=True, proved=True,
                        rules=(1, 12)),
            "page|replay||static|1||||1|1||": Facts(
                "page", "replay", rule="static", anonymous=True, never=True, after_write=True
            ),
        }.items():  # fmt: skip
            record = accesslog.parse(line(facts=facts))
            assert record is not None
            self.assertEqual(expected, record.facts)

    def test_the_headers_of_a_terminator(self) -> None:
        record = accesslog.parse(line(forwarded=b"https|a.example|443|proto=https"))
        assert record is not None
        self.assertEqual("https|a.example|443|proto=https", record.access.forwarded)

    def test_the_wait_of_a_response_of_the_edge(self) -> None:
        record = accesslog.parse(line(queued=-1, connected=-1, responded=-1, error="hold", wait=1))
        assert record is not None
        self.assertEqual((1.5, "hold", True), (record.wait, record.error, record.held))

    def test_no_service_is_no_record(self) -> None:
        self.assertIsNone(accesslog.parse(line(svc="-", status=421)))

    def test_truncated_and_malformed_lines_are_refused(self) -> None:
        whole = line()
        for bad in (
            b"",
            whole[:-1],
            whole[:-4],
            whole[3:],
            whole + b" x",
            b"v2 x end",
            line(status="x"),
            line(url="%%%"),
            line(facts="page|armed"),
            line(facts="page|armed|||||||||x|"),
        ):
            with self.assertRaises(accesslog.LogLineError):
                accesslog.parse(bad)

    @settings(deadline=None)
    @given(st.binary(max_size=300))
    def test_any_bytes_are_a_record_or_refused(self, data: bytes) -> None:
        try:
            record = accesslog.parse(data)
        except accesslog.LogLineError:
            return
        self.assertIsInstance(record, accesslog.EdgeRecord | None)

    @settings(deadline=None)
    @given(st.binary(min_size=1, max_size=200), st.binary(min_size=1, max_size=50))
    def test_a_hostile_url_changes_nothing_else(self, url: bytes, host: bytes) -> None:
        record = accesslog.parse(line(url=url, host=host))
        assert record is not None
        self.assertEqual(url, record.access.url.encode("utf-8", "surrogateescape"))
        self.assertEqual(("shop", 200), (record.access.service, record.access.status))

    def test_the_format_has_as_many_fields_as_a_line(self) -> None:
        self.assertEqual(len(line().split(b" ")), len(accesslog.LOG_FORMAT.split(" ")))

"""A write is read from its row unchanged, or reported as damaged."""

from __future__ import annotations

import base64
import dataclasses
import json
import unittest
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from nova_cachemig.agent.journal import record
from nova_cachemig.agent.journal.cipher import CLEAR, Cipher, DecryptionError
from nova_cachemig.agent.journal.record import (
    COLUMNS,
    Damaged,
    barrier_keys,
    from_row,
    read_headers,
    response_from_row,
    response_to_row,
    to_row,
)
from nova_cachemig.agent.journal.schema import WRITES
from nova_cachemig.model.effects import changed_urls
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse

TEXT = st.text(st.characters(codec="latin-1", exclude_categories=["Cc"]), max_size=20)
BODIES = st.one_of(
    st.binary(max_size=50).map(Body.of),
    st.builds(Body, spool=st.just("0" * 32), length=st.integers(1, 2**40),
              digest=st.binary(min_size=16, max_size=16)),
)  # fmt: skip
WRITE = st.builds(
    AcceptedWrite,
    service=TEXT,
    position=st.integers(1, 2**60),
    accepted_at=st.integers(0, 2**50).map(lambda us: us / 1_000_000),
    method=st.sampled_from(["PUT", "POST", "DELETE"]),
    url=TEXT,
    host=TEXT,
    headers=st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    body=BODIES,
    client=TEXT,
    key=st.none() | TEXT,
    client_key=st.booleans(),
    honours_keys=st.booleans(),
    framed=st.booleans(),
    has_status_url=st.booleans(),
)


KEYS = {"k": b"\1" * 32}
CIPHERS = st.sampled_from([Cipher(), Cipher(KEYS, "k")])


def older_row(write: AcceptedWrite) -> dict[str, Any]:
    """The row as agents made it before there were records of lines."""
    row = to_row(write) | {
        "url": write.url,
        "client": write.client,
        "idempotency_key": write.key,
        "headers": json.dumps(write.headers, separators=(",", ":")),
    }
    row["flags"] &= ~record._LINES
    return row | {"checksum": record._checksum(row)}


class RecordTest(unittest.TestCase):
    def test_the_columns_are_the_tables(self) -> None:
        self.assertLessEqual(set(COLUMNS), {column.name for column in WRITES.columns})

    @given(WRITE, CIPHERS)
    def test_round_trip(self, write: AcceptedWrite, cipher: Cipher) -> None:
        row = to_row(write, cipher)
        self.assertEqual(COLUMNS, tuple(row))
        self.assertEqual(write, from_row(row, Cipher(KEYS)))
        also = changed_urls(write.url, write.headers)
        found = barrier_keys(row, Cipher(KEYS))
        self.assertEqual((write.host, write.url, write.client, also), found)
        self.assertEqual(write.headers, read_headers(row, Cipher(KEYS)))

    @given(WRITE)
    def test_older_records_are_read(self, write: AcceptedWrite) -> None:
        self.assertEqual(write, from_row(older_row(write)))

    def test_an_older_record_as_it_was_on_disk(self) -> None:
        write = AcceptedWrite(
            "shop", 7, 1.5, "PUT", "/a?b", "h", (("x", "1"),), Body.of(b"body"), "c", key='"k"',
            has_status_url=True,
        )  # fmt: skip
        self.assertEqual("3475b92f514d1a69", older_row(write)["checksum"].hex())

    @given(WRITE, st.sampled_from(["\n", "\0", "\xe9"]), st.sampled_from(["url", "client", "key"]))
    def test_what_does_not_fit_into_lines(self, write: AcceptedWrite, odd: str, where: str) -> None:
        changed: dict[str, Any] = {where: f"a{odd}b"}
        write = dataclasses.replace(write, **changed)
        row = to_row(write)
        self.assertEqual(0, row["flags"] & record._LINES)
        self.assertEqual(write, from_row(row))

    @given(WRITE, CIPHERS,
           st.sampled_from([c for c in COLUMNS if c not in {"state", "wants_later"}]),
           st.data())  # fmt: skip
    def test_any_change_is_damage(
        self, write: AcceptedWrite, cipher: Cipher, column: str, data: st.DataObject
    ) -> None:
        row = to_row(write, cipher)
        old = row[column]
        if isinstance(old, bytes):
            new: object = old + b"x"
        elif isinstance(old, str):
            new = old + "x"
        elif isinstance(old, int):
            new = old ^ (1 << data.draw(st.integers(0, 40)))
        else:
            new = b"x" if column in {"body", "spool_digest"} else "x"
        assume(new != old)
        with self.assertRaises(Damaged):
            from_row(row | {column: new}, Cipher(KEYS))

    @given(st.integers(200, 599), st.lists(st.tuples(TEXT, TEXT), max_size=4), st.binary())
    def test_responses(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        response = GuestResponse(status, tuple(headers), Body.of(body))
        self.assertEqual(response, response_from_row(response_to_row(response, "shop", 2, 1)))


class EncryptedRecordTest(unittest.TestCase):
    """An attacker with write access to the database can forge the checksum, but not the tag."""

    def setUp(self) -> None:
        self.cipher = Cipher(KEYS, "k")

    def forged(self, row: dict[str, Any], **changes: Any) -> dict[str, Any]:
        row = row | changes
        return row | {"checksum": record._checksum(row)}

    @given(WRITE, WRITE, st.sampled_from(["headers", "body"]))
    def test_pieces_of_records_cannot_be_exchanged(
        self, one: AcceptedWrite, other: AcceptedWrite, part: str
    ) -> None:
        assume((one.service, one.position) != (other.service, other.position))
        row, donor = to_row(one, self.cipher), to_row(other, self.cipher)
        assume(row[part] is not None and donor[part] is not None)
        with self.assertRaisesRegex(Damaged, "not encrypted"):
            from_row(self.forged(row, **{part: donor[part]}), self.cipher)

    @given(WRITE, st.data())
    def test_what_is_readable_is_bound_to_what_is_not(
        self, write: AcceptedWrite, data: st.DataObject
    ) -> None:
        row = to_row(write, self.cipher)
        for column, other in (
            ("service", TEXT),
            ("position", st.integers(1, 2**60)),
            ("accepted_us", st.integers(0, 2**50)),
            ("method", st.sampled_from(["PUT", "POST", "DELETE"])),
            ("host", TEXT),
            ("spool", st.sampled_from(["0" * 32, "1" * 32, None])),
            ("length", st.integers(0, 2**40)),
            ("flags", st.integers(0, 7)),
        ):
            new = data.draw(other)
            if new != row[column]:
                with self.assertRaises(Damaged):
                    from_row(self.forged(row, **{column: new}), self.cipher)

    @given(WRITE, st.data())
    def test_a_flipped_bit_under_a_right_checksum(
        self, write: AcceptedWrite, data: st.DataObject
    ) -> None:
        row = to_row(write, self.cipher)
        raw = bytearray(base64.b64decode(row["headers"]))
        bit = data.draw(st.integers(0, len(raw) * 8 - 1))
        raw[bit // 8] ^= 1 << bit % 8
        with self.assertRaises(Damaged):
            changed = base64.b64encode(raw).decode()
            from_row(self.forged(row, headers=changed), self.cipher)

    def test_without_the_key_it_is_named(self) -> None:
        write = AcceptedWrite("shop", 7, 1.0, "PUT", "/", "h", (), Body.of(b"x"), "c")
        with self.assertRaisesRegex(Damaged, "write shop/7: .* key 'k', which is not available"):
            from_row(to_row(write, self.cipher))

    @given(st.lists(st.tuples(TEXT, TEXT), max_size=4), st.binary(), st.integers(1, 3))
    def test_a_response_belongs_to_its_write(
        self, headers: list[tuple[str, str]], body: bytes, asked: int
    ) -> None:
        response = GuestResponse(200, tuple(headers), Body.of(body))
        row = response_to_row(response, "shop", 2, 1, self.cipher) | {"service": "shop"}
        if asked == 2:
            self.assertEqual(response, response_from_row(row | {"position": 2}, self.cipher))
            return
        with self.assertRaises(DecryptionError):
            response_from_row(row | {"position": asked}, self.cipher)

    def test_a_body_that_was_dropped(self) -> None:
        response = GuestResponse(201, (("x", "1"),), Body.of(b"made"))
        for cipher in (CLEAR, self.cipher):
            row = response_to_row(response, "shop", 2, 1, cipher)
            row |= {"service": "shop", "position": 2, "response_body": None}
            found = response_from_row(row, cipher)
            assert found is not None
            self.assertEqual((201, "1", b""), (found.status, found.header("x"), found.body.data))
            self.assertIn("no longer kept", found.header("cachemig-write") or "")

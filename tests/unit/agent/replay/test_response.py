"""The parts of a guest's response, and the limits of each."""

from __future__ import annotations

import unittest

from nova_cachemig.agent.replay.response import NotHttp, Parsed, ResponseReader, TooLarge

HEAD = b"HTTP/1.1 200 OK\r\nx-own: yes\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"


class ResponseReaderTest(unittest.TestCase):
    def setUp(self) -> None:
        self.parsed: list[Parsed] = []
        self.began = 0
        self.reader = ResponseReader(50, self.begin, self.parsed.append)

    def begin(self) -> None:
        self.began += 1

    def test_a_response_byte_by_byte(self) -> None:
        data = HEAD + b"keep-alive: timeout=7\r\ncontent-length: 2\r\n\r\nhi"
        for at in range(len(data)):
            self.assertEqual(at > 0, self.reader.in_response)
            self.reader.feed(data[at : at + 1])
        self.assertFalse(self.reader.in_response)
        (found,) = self.parsed
        self.assertEqual((b"hi", True, False, 7.0), (
            found.response.body.data, found.keep_alive, found.announces_close, found.idle_timeout,
        ))  # fmt: skip
        self.assertEqual(1, self.began)

    def test_trailers_are_dropped(self) -> None:
        self.reader.feed(CHUNKED + b"set-cookie: t=1\r\n\r\n")
        self.assertEqual((("x-own", "yes"),), self.parsed[0].response.headers)

    def test_the_number_of_fields(self) -> None:
        fits = b"x: y\r\n" * 286
        self.reader.feed(HEAD + fits + b"content-length: 0\r\n\r\n")
        self.reader.feed(CHUNKED + fits + b"x: y\r\n\r\n")
        self.assertEqual(2, len(self.parsed))
        with self.assertRaisesRegex(NotHttp, "288 fields"):
            self.reader.feed(HEAD + fits + b"x: y\r\ncontent-length: 0\r\n\r\n")

    def test_the_number_of_interim_responses_to_one_request(self) -> None:
        interim = b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"
        for _ in range(2):
            self.reader.feed(interim * 16)
            self.assertTrue(self.reader.in_response)
            self.reader.feed(HEAD + b"content-length: 0\r\n\r\n")
        self.assertIsNone(self.parsed[1].response.header("link"))
        with self.assertRaisesRegex(NotHttp, "16 interim"):
            self.reader.feed(interim * 17)

    def test_the_size_of_a_head_and_of_trailers(self) -> None:
        for begin in (HEAD + b"x: ", CHUNKED + b"x: "):
            with self.subTest(begin):
                self.reader = ResponseReader(50, self.begin, self.parsed.append)
                self.reader.feed(begin)
                self.reader.feed(b"y" * 60_000)
                with self.assertRaisesRegex(NotHttp, "65536 bytes"):
                    self.reader.feed(b"y" * 20_000)

    def test_the_size_of_a_body(self) -> None:
        self.reader.feed(HEAD + b"content-length: 50\r\n\r\n" + b"x" * 50)
        self.assertEqual(b"x" * 50, self.parsed[0].response.body.data)
        with self.assertRaises(TooLarge):
            self.reader.feed(HEAD + b"content-length: 51\r\n\r\n" + b"x" * 51)
        cut = self.reader.cut("too large")
        self.assertEqual((200, b""), (cut.status, cut.body.data))
        self.assertEqual("responded; too large", cut.header("cachemig-write"))

    def test_a_cut_head_is_a_502(self) -> None:
        self.reader.feed(HEAD)
        self.assertEqual(502, self.reader.cut("too slow").status)

    def test_control_characters_of_a_value_are_spaces(self) -> None:
        self.reader.feed(b"HTTP/1.1 200 OK\r\nx: a\x01\tb\r\ncontent-length: 0\r\n\r\n")
        self.assertEqual("a \tb", self.parsed[0].response.header("x"))

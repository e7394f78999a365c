import unittest
from typing import Any

from nova_cachemig.model.methods import IDEMPOTENT
from nova_cachemig.model.write import AcceptedWrite, Body, GuestResponse


def write(**facts: Any) -> AcceptedWrite:
    known: dict[str, Any] = {
        "service": "shop",
        "position": 7,
        "accepted_at": 1.0,
        "method": "POST",
        "url": "/cart",
        "host": "shop.example",
        "headers": (),
        "body": Body.of(b"x"),
        "client": "me",
    }
    return AcceptedWrite(**known | facts)


class Bodies(unittest.TestCase):
    def test_a_body_in_memory_knows_its_length(self) -> None:
        self.assertEqual(Body(b"abc", None, 3), Body.of(b"abc"))


class Responses(unittest.TestCase):
    def test_the_first_value_of_a_header_field(self) -> None:
        response = GuestResponse(200, (("vary", "a"), ("etag", "1"), ("vary", "b")))
        self.assertEqual("a", response.header("vary"))
        self.assertIsNone(response.header("age"))


class Writes(unittest.TestCase):
    def test_the_operator_knows_it_by_service_and_position(self) -> None:
        self.assertEqual("shop/7", write().name)

    def test_an_idempotent_method_may_be_sent_again(self) -> None:
        for method in IDEMPOTENT:
            with self.subTest(method):
                self.assertTrue(write(method=method).resendable)

    def test_another_needs_a_key_that_the_service_honours(self) -> None:
        for key, honours, resendable in (
            (None, False, False),
            ("k", False, False),
            (None, True, False),
            ("k", True, True),
        ):
            for method in ("POST", "PATCH"):
                with self.subTest(method=method, key=key, honours=honours):
                    self.assertEqual(
                        resendable, write(method=method, key=key, honours_keys=honours).resendable
                    )

    def test_a_method_whose_key_no_middleware_looks_at(self) -> None:
        for method in ("MOVE", "COPY", "LOCK", "UNLOCK", "MKCOL", "post"):
            with self.subTest(method):
                self.assertFalse(write(method=method, key="k", honours_keys=True).resendable)

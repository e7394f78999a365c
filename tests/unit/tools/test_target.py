from __future__ import annotations

import unittest

from tools.measurement.target import Target, TargetError, sources


class TargetTest(unittest.TestCase):
    def test_parts(self) -> None:
        target = Target.of("http://192.0.2.1:8080/shop/")
        self.assertEqual(
            ("192.0.2.1", 8080, "192.0.2.1:8080", "/shop"),
            (target.host, target.port, target.authority, target.prefix),
        )
        self.assertIsNone(target.tls)

    def test_ports_and_names(self) -> None:
        self.assertEqual(443, Target.of("https://shop.example").port)
        target = Target.of("http://u:p@[2001:db8::1]", host_header="shop.example")
        self.assertEqual(("2001:db8::1", 80), (target.host, target.port))
        self.assertEqual("shop.example", target.authority)

    def test_insecure_takes_any_certificate(self) -> None:
        lax = Target.of("https://shop.example", insecure=True).tls
        strict = Target.of("https://shop.example").tls
        assert lax and strict
        self.assertEqual((False, True), (lax.check_hostname, strict.check_hostname))

    def test_bad_urls(self) -> None:
        for url in ("shop.example", "ftp://a", "http://", "http://a:port", "http://[::1"):
            with self.subTest(url), self.assertRaises(TargetError):
                Target.of(url)


class SourcesTest(unittest.TestCase):
    def test_forms(self) -> None:
        self.assertEqual([None], sources(None))
        self.assertEqual(["192.0.2.1", "192.0.2.5"], sources("192.0.2.1, 192.0.2.5"))
        self.assertEqual(["192.0.2.9", "192.0.2.10"], sources("192.0.2.9-192.0.2.10"))
        self.assertEqual(["192.0.2.1", "192.0.2.2"], sources("192.0.2.0/30"))

    def test_bad_ones(self) -> None:
        for text in ("a", "192.0.2.1-", "192.0.2.1/24", "192.0.2.9-192.0.2.1", "300.1.1.1"):
            with self.subTest(text), self.assertRaises(TargetError):
                sources(text)

"""The files of certificates that HAProxy reads."""

from __future__ import annotations

import datetime
import shutil
import tempfile
import unittest
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from nova_cachemig.agent.engine.certificates import MAX_FILES, Certificates
from nova_cachemig.model.service import Service, Tls

LISTEN = ("192.0.2.1", 443)


def write_pair(certificate: Path, key: Path, name: str = "shop.example") -> None:
    """Write a certificate and its key, which only this user may read."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(subject, subject, private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(private, hashes.SHA256())
    )
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    key.chmod(0o600)


class CertificatesTest(unittest.TestCase):
    def setUp(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="cmcert"))
        self.addCleanup(shutil.rmtree, self.root)
        self.certificate, self.key = self.root / "shop.pem", self.root / "shop.key"
        write_pair(self.certificate, self.key)
        self.certificates = Certificates(self.root / "tls")

    def service(self, name: str = "shop", **fields: object) -> Service:
        tls = Tls(certificates=(str(self.certificate),))
        values = {"instance": "an-instance", "port": 80, "listen": LISTEN, "tls": tls, **fields}
        return Service(name=name, **values)  # type: ignore[arg-type]

    def list_of(self, service: Service) -> str:
        return Path(self.certificates.bind(service).split(" crt-list ")[1].split()[0]).read_text()

    def test_a_certificate_and_its_key_become_one_file_of_the_agent(self) -> None:
        found = self.certificates.prepare([self.service()])
        self.assertEqual(({}, {}), (found.missing, found.kept))
        [path] = found.changed
        text = path.read_text()
        self.assertIn("BEGIN CERTIFICATE", text)
        self.assertIn("BEGIN PRIVATE KEY", text)
        self.assertEqual(0o600, path.stat().st_mode & 0o777)
        self.assertEqual(0o700, path.parent.stat().st_mode & 0o777)

    def test_only_what_changed_is_written_again(self) -> None:
        self.certificates.prepare([self.service()])
        self.assertEqual([], self.certificates.prepare([self.service()]).changed)
        write_pair(self.certificate, self.key)
        self.assertEqual(1, len(self.certificates.prepare([self.service()]).changed))

    def test_services_of_one_address_share_a_list(self) -> None:
        one = self.service(hosts=("shop.example",))
        tls = Tls((str(self.certificate),), min_version="1.3", http2=False)
        other = self.service("blog", hosts=("blog.example",), tls=tls)
        self.certificates.prepare([one, other])
        first, second = self.list_of(one).splitlines()
        self.assertTrue(first.endswith("[alpn h2,http/1.1 ssl-min-ver TLSv1.2] shop.example"))
        self.assertTrue(second.endswith("[alpn http/1.1 ssl-min-ver TLSv1.3] blog.example"))
        self.assertTrue(self.certificates.bind(one).endswith(" strict-sni"))

    def test_another_list_has_another_name(self) -> None:
        one = self.service()
        self.certificates.prepare([one])
        before = self.certificates.bind(one)
        self.certificates.prepare([one, self.service("blog")])
        self.assertNotEqual(before, self.certificates.bind(one))

    def test_without_tls_it_is_the_address_alone(self) -> None:
        self.assertEqual("192.0.2.1:443", self.certificates.bind(self.service(tls=None)))

    def test_a_key_that_others_can_read_is_refused(self) -> None:
        self.key.chmod(0o644)
        found = self.certificates.prepare([self.service()])
        self.assertRegex(found.missing["shop"], "others can read or change the private key")

    def test_a_bad_certificate_leaves_the_earlier_one_in_use(self) -> None:
        self.certificates.prepare([self.service()])
        self.certificate.write_text("not a certificate")
        found = self.certificates.prepare([self.service()])
        self.assertRegex(found.kept["shop"], "cannot be used with its key")
        self.assertEqual(([], {}), (found.changed, found.missing))

    def test_a_directory_has_all_its_certificates(self) -> None:
        many = self.root / "many"
        many.mkdir()
        for name in ("one", "two"):
            write_pair(many / f"{name}.crt", many / f"{name}.key")
        service = self.service(tls=Tls((str(many),)))
        self.certificates.prepare([service])
        self.assertEqual(2, len(self.list_of(service).splitlines()))

    def test_the_layout_of_certbot(self) -> None:
        live = self.root / "live"
        live.mkdir()
        write_pair(live / "fullchain.pem", live / "privkey.pem")
        self.assertEqual(
            {}, self.certificates.prepare([self.service(tls=Tls((str(live),)))]).missing
        )

    def test_no_certificates_and_too_many(self) -> None:
        empty = self.root / "empty"
        empty.mkdir()
        found = self.certificates.prepare([self.service(tls=Tls((str(empty),)))])
        self.assertRegex(found.missing["shop"], "has no certificate")
        tls = Tls((str(self.certificate),) * (MAX_FILES + 1))
        found = self.certificates.prepare([self.service("blog", tls=tls)])
        self.assertRegex(found.missing["blog"], f"more than {MAX_FILES} certificates")

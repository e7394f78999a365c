"""The accounts and certificates of a libvirtd whose clients need a password."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import subprocess
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.functional.ports import free_port

USER, PASSWORD = "nova", "right"


class Sasl:
    """As Kolla-Ansible configures it: DIGEST-MD5 on TCP, SCRAM-SHA-256 where TLS encrypts.

    ``directory`` replaces /etc/sasl2 for the daemon.
    """

    def __init__(self, home: Path, host: str) -> None:
        program = shutil.which("saslpasswd2", path=os.environ["PATH"] + ":/usr/sbin")
        if program is None:
            raise RuntimeError("saslpasswd2 is not installed")
        self._program = program
        self._home = home
        self._host = host  # the realm of its accounts
        self.directory = home / "sasl2"
        self.ports = {"tcp": free_port(), "tls": free_port()}

    def prepare(self) -> str:
        """Write the files; return lines for libvirtd.conf."""
        self.directory.mkdir(exist_ok=True)
        accounts = self.directory / "passwd.db"
        (self.directory / "libvirt.conf").write_text(
            f"mech_list: scram-sha-256 digest-md5\nsasldb_path: {accounts}\n"
        )
        subprocess.run(
            [
                *(self._program, "-p", "-c", "-f", str(accounts)),
                *("-u", self._host, "-a", "libvirt", USER),
            ],
            input=PASSWORD.encode(),
            check=True,
        )
        pki = self._home / "pki"
        write_certificates(pki)
        return (
            'auth_unix_ro = "sasl"\nauth_tcp = "sasl"\nauth_tls = "sasl"\n'
            'listen_tcp = 1\nlisten_tls = 1\nlisten_addr = "127.0.0.1"\n'
            f'tcp_port = "{self.ports["tcp"]}"\ntls_port = "{self.ports["tls"]}"\n'
            f'ca_file = "{pki}/cacert.pem"\ntls_no_verify_certificate = 1\n'
            f'cert_file = "{pki}/servercert.pem"\nkey_file = "{pki}/serverkey.pem"\n'
        )


def write_certificates(directory: Path) -> None:
    """A CA and a server's certificate for 127.0.0.1, under libvirt's names for the files."""
    directory.mkdir(exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = _name("CA")
    ca = _builder(issuer, issuer, ca_key).add_extension(x509.BasicConstraints(True, None), True)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    server = _builder(_name("127.0.0.1"), issuer, key).add_extension(
        x509.SubjectAlternativeName([address]), False
    )
    for name, certificate in (("cacert", ca), ("servercert", server)):
        signed = certificate.sign(ca_key, hashes.SHA256())
        (directory / f"{name}.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (directory / "serverkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )

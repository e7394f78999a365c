"""Certificates for a server on 127.0.0.1 and for its client, made with openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path

_CONFIG = "[req]\ndistinguished_name = dn\n[dn]\n"


def write_certificates(directory: Path) -> None:
    """Write ``NAME.pem`` and ``NAME.key`` of ca, server and client, and other-ca."""
    (directory / "openssl.cnf").write_text(_CONFIG)
    for name in ("ca", "other-ca"):
        _make(directory, name, "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    for name in ("server", "client"):
        _make(
            directory, name, "subjectAltName=IP:127.0.0.1", "authorityKeyIdentifier=keyid", ca="ca"
        )


def _make(directory: Path, name: str, *extensions: str, ca: str = "") -> None:
    command = ["openssl", "req", "-x509", "-config", "openssl.cnf", "-nodes", "-days", "1"]
    command += ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    command += ["-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem"]
    for extension in ("subjectKeyIdentifier=hash", *extensions):
        command += ["-addext", extension]
    if ca:
        command += ["-CA", f"{ca}.pem", "-CAkey", f"{ca}.key"]
    subprocess.run(command, cwd=directory, check=True, capture_output=True, timeout=30)

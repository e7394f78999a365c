"""The certificates of the services, as HAProxy reads them.

Each certificate of a service becomes one file with its chain and key in the engine's directory, and
each front address gets a list of them. A certificate that changes is replaced in the running
HAProxy: a reload would end long connections of all services after a while.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import ssl
import stat
from collections.abc import Iterable
from pathlib import Path

from nova_cachemig.agent.engine import names
from nova_cachemig.agent.ports import ComponentError
from nova_cachemig.model.service import Service, Tls

MAX_BYTES = 40_000
"""Of a certificate with chain and key: HAProxy takes 48 kB in one command."""

MAX_FILES = 100
"""Certificates of one service."""

_FORBIDDEN = stat.S_IRWXO | stat.S_IWGRP | stat.S_IXGRP


@dataclasses.dataclass(frozen=True, slots=True)
class Prepared:
    """The errors, by service, and the files that changed."""

    missing: dict[str, str]  # of services without a usable certificate
    kept: dict[str, str]  # of services that use their earlier certificates
    changed: list[Path]


class Certificates:
    """The files under one directory, which only the agent's user may enter."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lists: dict[tuple[str, int], Path] = {}

    def bind(self, service: Service) -> str:
        """Return the service's front address with its settings, as words of HAProxy's ``bind``."""
        bind = names.bind_address(service.listen)
        if service.tls is None:
            return bind
        strict = " strict-sni" if service.hosts else ""
        return f"{bind} ssl crt-list {self._lists[service.listen]}{strict}"

    def prepare(self, services: Iterable[Service]) -> Prepared:
        """Write the files of all services. Those of a service with an error stay as they are."""
        found = Prepared({}, {}, [])
        lists: dict[tuple[str, int], list[str]] = {}
        for service in services:
            if service.tls is None:
                continue
            self._directory.mkdir(mode=0o700, exist_ok=True)
            stem = hashlib.sha256(service.name.encode()).hexdigest()[:24]
            try:
                texts = _read(service.tls)
            except (ComponentError, OSError) as exc:
                paths = sorted(self._directory.glob(f"{stem}-*.pem"))
                errors = found.kept if paths else found.missing
                errors[service.name] = f"service {service.name}: {exc}"
            else:
                paths = [
                    self._directory / f"{stem}-{number:02}.pem" for number in range(len(texts))
                ]
                for path, text in zip(paths, texts, strict=True):
                    if _write(path, text):
                        found.changed.append(path)
            lines = lists.setdefault(service.listen, [])
            lines += [_line(path, service) for path in paths]
        for listen, lines in lists.items():
            # Another name for another list: HAProxy then reads it by a reload.
            name = hashlib.sha256("".join(lines).encode()).hexdigest()[:24]
            self._lists[listen] = self._directory / f"{name}.list"
            _write(self._lists[listen], "".join(lines))
        return found


def _read(tls: Tls) -> list[str]:
    """Return the certificates, each with chain and key. Raises ComponentError."""
    found = [pair for text in tls.certificates for pair in _pairs(Path(text))]
    if len(found) > MAX_FILES:
        raise ComponentError(f"more than {MAX_FILES} certificates")
    return [_load(certificate, key) for certificate, key in found]


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """Return each certificate's file, and the one of its key."""
    if not path.is_dir():
        keys = (path.with_name(path.name + ".key"), path.with_suffix(".key"))
        return [(path, next((key for key in keys if key.exists() and key != path), path))]
    if (path / "privkey.pem").exists():  # as certbot names them
        return [(path / "fullchain.pem", path / "privkey.pem")]
    found = sorted(one for one in path.iterdir() if one.suffix in {".pem", ".crt"})
    if not found:
        raise ComponentError(f"tls: {path} has no certificate (*.pem, *.crt)")
    return [pair for one in found for pair in _pairs(one)]


def _load(certificate: Path, key: Path) -> str:
    try:
        mode = key.stat()
        if mode.st_mode & _FORBIDDEN or mode.st_uid not in {0, os.geteuid()}:
            raise ComponentError(
                f"tls: others can read or change the private key {key}: it must belong to root or "
                "the agent's user, with mode 0640 or less"
            )
        paths = dict.fromkeys((certificate, key))
        if sum(path.stat().st_size for path in paths) > MAX_BYTES:
            raise ComponentError(f"tls: {certificate} with its key has more than {MAX_BYTES} bytes")
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
        text = "\n".join(path.read_text(encoding="ascii") for path in paths)
    except (OSError, ValueError) as exc:  # ssl.SSLError is an OSError
        raise ComponentError(f"tls: {certificate} cannot be used with its key: {exc}") from exc
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"{line}\n" for line in lines if line)


def _line(path: Path, service: Service) -> str:
    assert service.tls is not None, "checked before"
    protocols = "h2,http/1.1" if service.tls.http2 else "http/1.1"
    settings = f"[alpn {protocols} ssl-min-ver TLSv{service.tls.min_version}]"
    return " ".join([str(path), settings, *service.hosts]) + "\n"


def _write(path: Path, text: str) -> bool:
    """Replace a file that only the agent may read; return False if nothing changed."""
    if path.exists() and path.read_text() == text:
        return False
    draft = path.with_name(path.name + ".new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)
    return True


async def replace(admin: Path, certificate: Path) -> None:
    """Let the running HAProxy use the new text of a certificate. Raises ComponentError."""
    text = await asyncio.to_thread(certificate.read_text)
    for command, expected in (
        (f"set ssl cert {certificate} <<\n{text}\n", "transaction"),
        (f"commit ssl cert {certificate}\n", "Success"),
    ):
        output = await _ask(admin, command)
        if expected not in output.lower() + output:
            raise ComponentError(f"HAProxy did not take {certificate}: {output:.300}")


async def _ask(admin: Path, command: str) -> str:
    try:
        async with asyncio.timeout(10):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            writer.write(command.encode())
            output = await reader.read()
            writer.close()
    except (OSError, TimeoutError) as exc:
        raise ComponentError(f"HAProxy does not respond on {admin}: {exc}") from exc
    return " ".join(output.decode("utf-8", "replace").split())

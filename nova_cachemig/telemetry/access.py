"""How the forecaster reaches Prometheus: URL, credentials, headers and TLS.

Credentials appear in no error, and are no part of the URL that httpx sees, because httpx logs it.
"""

from __future__ import annotations

import base64
import re
import ssl
from pathlib import Path
from typing import Any, Final

import httpx

from nova_cachemig.telemetry.source import AccessError, SourceError

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A header's name: a token of RFC 9110."""

_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?")
"""A header's value. httpx puts a value that it refuses into its error."""


class Access:
    """Options of access to Prometheus; raises SourceError if they are invalid."""

    def __init__(self, options: Any) -> None:
        url = _url(options.prometheus_url)
        self.url: Final = str(url.copy_with(userinfo=b"")).rstrip("/")
        self._user: str = options.prometheus_user or url.username
        self._password: str = options.prometheus_password or url.password
        self._password_file: str | None = options.prometheus_password_file
        self._token_file: str | None = options.prometheus_token_file
        self._headers = _headers(options.prometheus_header)
        if options.prometheus_user and url.username:
            raise SourceError("[telemetry] prometheus_user: prometheus_url already has a user")
        self._check_credentials()
        self.tls: Final = _tls(options)

    def headers(self) -> dict[str, str]:
        """Return the headers of a request. Reads the files; raises AccessError."""
        if self._token_file:
            return self._headers | {"Authorization": f"Bearer {_token(self._token_file)}"}
        if self._user:
            password = self._password
            if self._password_file:
                password = _read(self._password_file, "prometheus_password_file")
            pair = base64.b64encode(f"{self._user}:{password}".encode()).decode()
            return self._headers | {"Authorization": f"Basic {pair}"}
        return self._headers

    def _check_credentials(self) -> None:
        passwords = bool(self._password) + bool(self._password_file)
        if ":" in self._user:
            raise SourceError("[telemetry] prometheus_user: a user's name has no colon")
        if self._user and passwords != 1:
            raise SourceError(
                "[telemetry] prometheus_user needs either prometheus_password or "
                "prometheus_password_file"
            )
        if passwords and not self._user:
            raise SourceError("[telemetry] a password for Prometheus needs prometheus_user")
        header = any(name.lower() == "authorization" for name in self._headers)
        if bool(self._user) + bool(self._token_file) + header > 1:
            raise SourceError(
                "[telemetry] set only one of prometheus_user, prometheus_token_file and a "
                "prometheus_header 'Authorization'"
            )


def _url(text: str) -> httpx.URL:
    try:
        return httpx.URL(text)
    except httpx.InvalidURL:
        raise SourceError("[telemetry] prometheus_url is not a URL") from None  # it has secrets


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        name, _, value = (part.strip() for part in line.partition(":"))
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            raise SourceError(
                f"[telemetry] prometheus_header: number {number} is not 'NAME: VALUE' in ASCII"
            )
        if name.lower() in map(str.lower, headers):
            raise SourceError(f"[telemetry] prometheus_header: {name} appears twice")
        headers[name] = value
    return headers


def _read(path: str, option: str) -> str:
    try:
        text = Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except OSError as exc:
        raise AccessError(f"[telemetry] {option}: {exc}") from exc
    except UnicodeError:
        raise AccessError(f"[telemetry] {option}: {path} is not UTF-8") from None
    if not text:
        raise AccessError(f"[telemetry] {option}: {path} is empty")
    return text


def _token(path: str) -> str:
    token = _read(path, "prometheus_token_file").strip()
    if not _VALUE.fullmatch(token):
        raise AccessError(f"[telemetry] prometheus_token_file: {path} does not contain a token")
    return token


def _tls(options: Any) -> ssl.SSLContext:
    certificate, key = options.prometheus_cert_file, options.prometheus_key_file
    if key and not certificate:
        raise SourceError("[telemetry] prometheus_key_file needs prometheus_cert_file")
    try:
        context = ssl.create_default_context(cafile=options.prometheus_ca_file)
    except OSError as exc:
        raise SourceError(f"[telemetry] prometheus_ca_file: {exc}") from exc
    if certificate:
        try:
            # Without a password here, OpenSSL asks for that of an encrypted key on the terminal.
            context.load_cert_chain(certificate, key, password=lambda: "")
        except (OSError, ValueError) as exc:
            raise SourceError(
                f"[telemetry] prometheus_cert_file, prometheus_key_file: {exc}"
            ) from exc
    return context

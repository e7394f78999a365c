"""The target of the load: address, TLS, Host header, source addresses."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import socket
import ssl
import urllib.parse

from tools.measurement.exchange import Exchange

# Linux chooses the source port at connect, when the destination is known. So one source address
# allows 28,000 connections to each destination, and not in all (ip(7)).
_BIND_ADDRESS_NO_PORT = 24


class TargetError(ValueError):
    """The URL or the source addresses cannot be used; the text says why."""


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """A server, from its URL."""

    host: str
    port: int
    authority: str  # Host header
    prefix: str  # put before the path of each request
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, url: str, *, host_header: str | None = None, insecure: bool = False) -> Target:
        """Parse a URL; raises TargetError."""
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port or (443 if parts.scheme == "https" else 80)
        except ValueError as exc:
            raise TargetError(f"{url!r}: {exc}") from exc
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise TargetError(f"{url!r} is no http or https URL with a host")
        tls = None
        if parts.scheme == "https":
            tls = ssl.create_default_context()
            if insecure:
                tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
        authority = host_header or parts.netloc.rpartition("@")[2]
        return cls(parts.hostname, port, authority, parts.path.rstrip("/"), tls)

    async def connect(self, source: str | None = None) -> Exchange:
        """A new connection, from ``source`` if it is given; raises OSError."""
        loop = asyncio.get_running_loop()
        name = self.host if self.tls else None
        if source is None:
            _, made = await loop.create_connection(
                Exchange, self.host, self.port, ssl=self.tls, server_hostname=name
            )
            return made
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
            await loop.sock_connect(sock, (self.host, self.port))
            _, made = await loop.create_connection(
                Exchange, sock=sock, ssl=self.tls, server_hostname=name
            )
        except BaseException:  # a cancelled connect must close its socket too
            sock.close()
            raise
        return made


def sources(text: str | None) -> list[str | None]:
    """``10.0.0.1,10.0.0.2``, ``10.0.0.1-10.0.0.9`` or ``10.0.0.0/28``: the addresses in order.

    ``[None]`` for no text: the kernel chooses. Raises TargetError.
    """
    if not text:
        return [None]
    found: list[str | None] = []
    try:
        for part in text.split(","):
            first, dash, last = part.strip().partition("-")
            if dash:
                low, high = int(ipaddress.ip_address(first)), int(ipaddress.ip_address(last))
                kind = type(ipaddress.ip_address(first))
                found += [str(kind(number)) for number in range(low, high + 1)]
            elif "/" in part:
                found += [str(address) for address in ipaddress.ip_network(part.strip()).hosts()]
            else:
                found.append(str(ipaddress.ip_address(first)))
    except ValueError as exc:
        raise TargetError(f"--source-addresses: {exc}") from exc
    if not found:
        raise TargetError(f"--source-addresses: {text!r} names no address")
    return found

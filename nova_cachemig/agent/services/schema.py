"""The JSON schema of a services file, and the checks that it cannot express."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import uuid
from collections.abc import Mapping
from typing import Any

import idna
import jsonschema

from nova_cachemig.agent.services import policy, presets
from nova_cachemig.model import naming
from nova_cachemig.model.headers import TOKEN
from nova_cachemig.model.policy import Policy
from nova_cachemig.model.service import Limits, SendProxy, Service, Tls, WriteMode

# \Z, because $ allows a final newline, which would start another line in the engine's files.
_NAME = rf"^{naming.SERVICE_NAME}\Z"
_COOKIE = rf"^{TOKEN}\Z"
_PATH = r"^/[^\x00-\x1f\x7f]*\Z"
_NETWORK = r"^[^\x00-\x1f\x7f-\x9f]*\Z"

SERVICE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "instance", "port", "listen"],
    "properties": {
        "name": {"type": "string", "pattern": _NAME},
        "instance": {"type": "string"},
        "port": {"type": "integer", "minimum": 1, "maximum": 65535},
        "listen": {"type": "string", "maxLength": 64},
        "hosts": {
            "type": "array",
            "maxItems": 256,
            "items": {"type": "string", "minLength": 1, "maxLength": naming.MAX_HOST_NAME},
        },
        "network": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": _NETWORK},
        "address": {"type": "string", "maxLength": 64},
        "floating": {"type": "boolean"},
        "writes": {"enum": [mode.value for mode in WriteMode]},
        "honours_keys": {"type": "boolean"},
        "client_cookie": {
            "type": "string",
            "maxLength": naming.MAX_COOKIE_NAME,
            "pattern": _COOKIE,
        },
        "forwarded_for": {"type": "boolean"},
        "trusted_proxies": {
            "type": "array",
            "maxItems": 64,
            "items": {"type": "string", "maxLength": 64},
        },
        "accept_proxy": {"type": "boolean"},
        "send_proxy": {"enum": [version.value for version in SendProxy]},
        "tls": {
            "type": "object",
            "additionalProperties": False,
            "required": ["certificates"],
            "properties": {
                "certificates": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 100,
                    "items": {"type": "string", "maxLength": 1024, "pattern": _PATH},
                },
                "min_version": {"enum": ["1.2", "1.3"]},
                "http2": {"type": "boolean"},
            },
        },
        "follow_links": {"type": "boolean"},
        "limits": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                field.name: {"type": "integer", "minimum": 0, "maximum": 1000000}
                for field in dataclasses.fields(Limits)
            },
        },
        "policy": policy.POLICY_SCHEMA,
    },
}

FILE_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["services"],
    "properties": {"services": {"type": "array", "maxItems": 20000, "items": SERVICE_SCHEMA}},
}

EXPECTED: Mapping[str, str] = {
    "name": "1 to 63 characters of a-z, 0-9 and hyphens, not at the ends, for instance shop",
    "instance": "the UUID of an instance",
    "port": "a TCP port from 1 to 65535",
    "listen": "ADDRESS:PORT, for instance 203.0.113.10:80 or [2001:db8::1]:80",
    "hosts": "a list of host names without scheme and port, for instance [shop.example.org]",
    "network": "the name of a network in Nova",
    "address": "an IP address, for instance 198.51.100.7 or 2001:db8::7",
    "floating": "true or false",
    "writes": " or ".join(mode.value for mode in WriteMode),
    "honours_keys": "true or false",
    "client_cookie": "the name of a cookie, for instance session",
    "forwarded_for": "true or false",
    "trusted_proxies": "a list of networks, for instance [10.0.0.0/24, 2001:db8::/32]",
    "accept_proxy": "true or false",
    "send_proxy": " or ".join(version.value for version in SendProxy),
    "tls": "a mapping, for instance {certificates: [/etc/nova-cachemig/tls/shop.pem]}",
    "certificates": "a list of absolute paths of files or directories",
    "min_version": '"1.2" or "1.3", in quotes',
    "http2": "true or false",
    "follow_links": "true or false",
    "limits": "a mapping, for instance {connections: 500, requests: 1000, held: 200, rate: 100}",
    **{
        field.name: "a whole number from 0 to 1000000; 0: no limit"
        for field in dataclasses.fields(Limits)
    },
    **policy.EXPECTED,
}
"""A valid value of each field, for the operator."""

_VALIDATOR = jsonschema.Draft202012Validator(FILE_SCHEMA)
_ENTRY_VALIDATOR = jsonschema.Draft202012Validator(SERVICE_SCHEMA)


def parse(document: object, where: str) -> tuple[list[Service], list[str]]:
    """Return the services of one file and its errors. An error names ``where`` and the field."""
    errors = [f"{where}: {_sentence(error)}" for error in _VALIDATOR.iter_errors(document)]
    if errors or not isinstance(document, dict):
        return [], errors or [f"{where}: not a mapping with the key 'services'"]
    services = []
    for number, entry in enumerate(document["services"]):
        try:
            services.append(_service(entry))
        except ValueError as exc:
            errors.append(f"{where}: services[{number}] ({entry['name']}): {exc}")
    return services, errors


def parse_entry(entry: Mapping[str, Any]) -> tuple[Service | None, list[str]]:
    """Return the service of one entry, or its errors, which name the field."""
    errors = [_sentence(error) for error in _ENTRY_VALIDATOR.iter_errors(entry)]
    if errors:
        return None, errors
    try:
        return _service(entry), []
    except ValueError as exc:
        return None, [str(exc)]


def conflicts(services: list[tuple[str, Service]]) -> list[str]:
    """Return one error for each name, host or front address that two services claim.

    A guest at a front address is one too: the edge would connect to itself.

    ``services`` are pairs ``(where, service)`` from any files.
    """
    errors: list[str] = []
    names: dict[str, str] = {}
    fronts: dict[tuple[tuple[str, int], str | None], str] = {}
    exclusive: dict[tuple[str, int], bool] = {}
    alike: dict[tuple[tuple[str, int], str], bool] = {}
    for where, service in services:
        if service.name in names:
            errors.append(
                f"{where}: name {service.name!r} is taken by a service in {names[service.name]}; "
                "choose another name, or remove that service first"
            )
        names[service.name] = where
        front = _format_listen(service.listen)
        for host in service.hosts or (None,):
            taken = fronts.setdefault((service.listen, host), service.name)
            if taken != service.name:
                what = f"host {host!r} on {front}" if host else front
                errors.append(
                    f"{where}: {service.name}: {what} is taken by service {taken!r}; choose "
                    "another address, or give each service on this address its own hosts"
                )
        for field, has in (
            ("tls", service.tls is not None),
            ("accept_proxy", service.accept_proxy),
        ):
            if alike.setdefault((service.listen, field), has) != has:
                errors.append(
                    f"{where}: {service.name}: either all services on {front} have {field}, or none"
                )
        owned = exclusive.setdefault(service.listen, not service.hosts)
        if owned != (not service.hosts):
            errors.append(
                f"{where}: {service.name}: a service without hosts owns {front} exclusively; "
                "give each service on this address hosts, or use another address"
            )
    for where, service in services:
        if (service.address, service.port) in exclusive:
            errors.append(
                f"{where}: {service.name}: address {service.address} with port {service.port} is "
                "a front address of this node, not a guest"
            )
    return errors


@functools.lru_cache(maxsize=1024)
def parse_listen(text: str) -> tuple[str, int]:
    """Parse ``192.0.2.1:80`` or ``[2001:db8::1]:80`` into address and port. Raises ValueError."""
    address, colon, port = text.rpartition(":")
    if address.startswith("[") and address.endswith("]"):
        address = address[1:-1]
    elif ":" in address:
        raise ValueError(f"listen {text!r}: write an IPv6 address in brackets: [ADDRESS]:PORT")
    if not colon or not re.fullmatch(r"[0-9]{1,5}", port) or not naming.is_port(int(port)):
        raise ValueError(f"listen {text!r}: must be ADDRESS:PORT with a port from 1 to 65535")
    try:
        parsed = naming.ip_address(address)
    except ValueError as exc:
        raise ValueError(f"listen {text!r}: {exc}") from exc
    return str(parsed), int(port)


def normalize_host(text: str) -> str:
    """Return a host name in the form of a Host header: lower case, A-labels. Raises ValueError."""
    try:
        name = text.removesuffix(".").lower()
        if not name.isascii():
            # As browsers do. Python's codec implements IDNA 2003, which maps "ß" to another name.
            name = idna.encode(name, uts46=True, std3_rules=True).decode("ascii")
    except UnicodeError as exc:
        raise ValueError(f"host {text!r} is not a host name: {exc}") from exc
    if not naming.is_host_name(name):
        raise ValueError(f"host {text!r} is not a host name (no port, no scheme, no wildcard)")
    return name


def _service(entry: Mapping[str, Any]) -> Service:
    try:
        instance = str(uuid.UUID(entry["instance"]))
    except ValueError as exc:
        raise ValueError(f"instance {entry['instance']!r} is not {EXPECTED['instance']}") from exc
    hosts = tuple(normalize_host(host) for host in entry.get("hosts", ()))
    if len(set(hosts)) != len(hosts):
        raise ValueError("hosts: the same name appears twice")
    return Service(
        name=entry["name"],
        instance=instance,
        port=int(entry["port"]),  # JSON Schema accepts 80.0 as an integer
        listen=parse_listen(entry["listen"]),
        hosts=hosts,
        network=entry.get("network"),
        address=_address(entry),
        floating=entry.get("floating", False),
        writes=WriteMode(entry.get("writes", WriteMode.HOLD.value)),
        honours_keys=entry.get("honours_keys", False),
        client_cookie=entry.get("client_cookie"),
        forwarded_for=entry.get("forwarded_for"),
        trusted_proxies=_networks(entry),
        accept_proxy=entry.get("accept_proxy", False),
        send_proxy=SendProxy(entry["send_proxy"]) if "send_proxy" in entry else None,
        tls=_tls(entry),
        follow_links=entry.get("follow_links"),
        limits=_limits(entry),
        policy=_policy(json.dumps(entry.get("policy", {}))),
    )


def restore(entry: Mapping[str, Any]) -> Service:
    """Return the service of an entry that was valid before; if not, any error may be raised."""
    return _service(entry)


@functools.lru_cache(maxsize=1024)
def _policy(text: str) -> Policy:
    return policy.policy(json.loads(text), presets.load())


def _networks(entry: Mapping[str, Any]) -> tuple[str, ...] | None:
    if "trusted_proxies" not in entry:
        return None
    try:
        return tuple(naming.network(text) for text in entry["trusted_proxies"])
    except ValueError as exc:
        raise ValueError(f"trusted_proxies: {exc}") from exc


def _tls(entry: Mapping[str, Any]) -> Tls | None:
    tls = entry.get("tls")
    return None if tls is None else Tls(**tls | {"certificates": tuple(tls["certificates"])})


def _limits(entry: Mapping[str, Any]) -> Limits:
    # JSON Schema accepts 10.0 as an integer
    return Limits(**{name: int(value) for name, value in entry.get("limits", {}).items()})


def _address(entry: Mapping[str, Any]) -> str | None:
    text = entry.get("address")
    if text is None:
        return None
    for other in ("floating", "network"):
        if entry.get(other):
            raise ValueError(f"address and {other} exclude each other: remove one of them")
    try:
        return naming.guest_address(text)
    except ValueError as exc:
        raise ValueError(f"address: {exc}") from exc


def to_entry(service: Service) -> dict[str, Any]:
    """Return the service as an entry of a services file."""
    entry: dict[str, Any] = {
        "name": service.name,
        "instance": service.instance,
        "port": service.port,
        "listen": _format_listen(service.listen),
        "writes": service.writes.value,
    }
    proxies, tls = service.trusted_proxies, service.tls
    limits = {k: v for k, v in service.limits.by_name().items() if v is not None}
    optional = {
        "hosts": list(service.hosts) or None,
        "network": service.network,
        "address": service.address,
        "floating": service.floating or None,
        "honours_keys": service.honours_keys or None,
        "client_cookie": service.client_cookie,
        "forwarded_for": service.forwarded_for,
        "trusted_proxies": None if proxies is None else list(proxies),
        "accept_proxy": service.accept_proxy or None,
        "send_proxy": service.send_proxy and service.send_proxy.value,
        "tls": tls and dataclasses.asdict(tls) | {"certificates": list(tls.certificates)},
        "follow_links": service.follow_links,
        "limits": limits or None,
        "policy": policy.to_entry(service.policy) or None,
    }
    return entry | {name: value for name, value in optional.items() if value is not None}


def _format_listen(listen: tuple[str, int]) -> str:
    address, port = listen
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _sentence(error: jsonschema.ValidationError) -> str:
    """Name the field, the problem, and a valid value."""
    path = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.absolute_path)
    where = path.lstrip(".")
    field = next((p for p in reversed(error.absolute_path) if isinstance(p, str)), None)
    instance: Any = error.instance
    if error.validator == "required" and field in {None, "services"}:
        required: Any = error.validator_value
        missing = [name for name in required if name not in instance]
        return f"{where or 'file'}: {', '.join(missing)} missing"
    if error.validator == "additionalProperties" and field is not None:
        known: Any = error.schema["properties"]  # type: ignore[index]
        unknown = sorted(str(name) for name in set(instance) - set(known))
        named = ", ".join(f"{name:.100}" for name in unknown[:5]) + ", …" * (len(unknown) > 5)
        return f"{where}: unknown field {named}; the fields: {', '.join(known)}"
    if field is not None and field in EXPECTED:
        return f"{where}: {instance!r:.100} is not valid; expected: {EXPECTED[field]}"
    return f"{where or 'file'}: {error.message[:200]}"

"""Verdicts on Keystone and Nova's API."""

from __future__ import annotations

import enum
from typing import Final

from nova_cachemig.doctor.verdict import Verdict, failed


class Fault(enum.Enum):
    """The reason why a request to Keystone or Nova failed."""

    INCOMPLETE = enum.auto()  # options are missing
    CONNECT = enum.auto()
    TLS = enum.auto()
    TIMEOUT = enum.auto()
    UNAUTHORIZED = enum.auto()  # 401
    FORBIDDEN = enum.auto()  # 403
    NOT_FOUND = enum.auto()  # 404: of the path, not of an instance
    NO_ENDPOINT = enum.auto()
    VERSION = enum.auto()  # 406: of the API
    SERVER = enum.auto()  # 5xx
    OTHER = enum.auto()


_KEYSTONE: Final = {
    Fault.INCOMPLETE: "Complete the group [nova]: auth_type, auth_url and the account",
    Fault.CONNECT: "Correct [nova] auth_url, and check that Keystone runs and no firewall is in "
    "between",
    Fault.TLS: "Set [nova] cafile to the CA of Keystone, and use the name in its certificate",
    Fault.TIMEOUT: "Check that Keystone responds, and that no firewall drops packets to it",
    Fault.UNAUTHORIZED: "Correct the account in [nova]: name, password, project and domains, or "
    "the application credential, which may have expired",
    Fault.FORBIDDEN: "Give the account a role in its project",
    Fault.NOT_FOUND: "Correct [nova] auth_url: it usually ends in :5000/v3 or /identity/v3",
    Fault.SERVER: "Look at the log of Keystone",
}

_NOVA: Final = {
    Fault.CONNECT: "Check that this node reaches the endpoint: a route, a firewall. Choose another "
    "endpoint with [nova] valid_interfaces or endpoint_override if it cannot",
    Fault.TLS: "Set [nova] cafile to the CA of Nova's endpoint",
    Fault.TIMEOUT: "Check that Nova's API responds, and that no firewall drops packets to it",
    Fault.UNAUTHORIZED: "Keystone issued a token that Nova refuses. If it is of an application "
    "credential with access rules, these must contain GET /v2.1/servers/{server_id}, GET "
    "/v2.1/servers/detail and GET /v2.1/os-migrations for the service compute, and "
    "[keystone_authtoken] of nova.conf needs service_type = compute",
    Fault.FORBIDDEN: "Give the account the role admin: with Nova's default policies, only it may "
    "see the instances and migrations of all projects",
    Fault.NOT_FOUND: "Correct the compute endpoint in the service catalogue: its path usually is "
    "/v2.1",
    Fault.NO_ENDPOINT: "Correct region_name and valid_interfaces in [nova], or add the endpoint "
    "to the service catalogue",
    Fault.VERSION: "Nova 20 (Train) or newer is needed",
    Fault.SERVER: "Look at the log of nova-api",
}


def token_failed(fault: Fault, detail: str) -> Verdict:
    """No token of Keystone."""
    return failed(
        f"Keystone gives the agent no token: {detail}",
        _KEYSTONE.get(fault, "Check the group [nova], and the log of Keystone"),
    )


def request_failed(request: str, fault: Fault, detail: str) -> Verdict:
    """``request``: for instance "GET /os-migrations"."""
    return failed(
        f"{request} failed: {detail}",
        _NOVA.get(fault, "Check the group [nova], and the log of nova-api"),
    )


def instance_unknown(instance: str) -> Verdict:
    """404 for the instance of a service."""
    return failed(
        f"Nova shows no instance {instance} to the agent's account",
        "If it exists, give the account the role admin. Otherwise remove its services: "
        "nova-cachemig-manage service remove",
    )

"""Create the services' account and the catalogue in Keystone, in one process.

The command line client would need seconds per call.
"""

from __future__ import annotations

import sys

import openstack

SERVICES = {
    "placement": ("placement", 8778, ""),
    "image": ("glance", 9292, ""),
    "network": ("neutron", 9696, ""),
    "compute": ("nova", 8774, "/v2.1"),
}


def register(address: str, password: str, region: str) -> None:
    identity = openstack.connect().identity
    domain = identity.find_domain("Default")
    project = identity.find_project("service") or identity.create_project(
        name="service", domain_id=domain.id
    )
    user = identity.find_user("service") or identity.create_user(
        name="service", password=password, domain_id=domain.id, default_project_id=project.id
    )
    for name in ("admin", "service"):
        role = identity.find_role(name) or identity.create_role(name=name)
        identity.assign_project_role_to_user(project, user, role)
    known = {service.type for service in identity.services()}
    for kind, (name, port, path) in SERVICES.items():
        if kind in known:
            continue
        service = identity.create_service(type=kind, name=name)
        for interface in ("public", "internal", "admin"):
            identity.create_endpoint(
                service_id=service.id,
                interface=interface,
                region_id=region,
                url=f"http://{address}:{port}{path}",
            )


if __name__ == "__main__":
    register(*sys.argv[1:])

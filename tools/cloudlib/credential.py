"""Create or delete the agent's account in Keystone: ACTION NAME PASSWORD.

``create`` prints the id and the secret of an application credential, which permits three requests.
"""

from __future__ import annotations

import os
import sys

import openstack

RULES = [
    {"service": "compute", "method": "GET", "path": path}
    for path in ("/v2.1/servers/{server_id}", "/v2.1/servers/detail", "/v2.1/os-migrations")
]


def create(name: str, password: str) -> None:
    identity = openstack.connect().identity
    project = identity.find_project("service", ignore_missing=False)
    user = identity.create_user(
        name=name, password=password, domain_id=project.domain_id, default_project_id=project.id
    )
    role = identity.find_role("admin", ignore_missing=False)
    identity.assign_project_role_to_user(project, user, role)
    # Only the user can create a credential for the user.
    own = openstack.connect(
        auth_url=os.environ["OS_AUTH_URL"],
        username=name,
        password=password,
        project_name="service",
        user_domain_name="Default",
        project_domain_name="Default",
        load_yaml_config=False,
        load_envvars=False,
    ).identity
    credential = own.create_application_credential(
        user.id, name, roles=[{"id": role.id}], access_rules=RULES
    )
    print(credential.id, credential.secret)


def delete(name: str, password: str) -> None:
    """Delete the user: its credentials and roles go too."""
    identity = openstack.connect().identity
    identity.delete_user(identity.find_user(name, ignore_missing=False))


if __name__ == "__main__":
    {"create": create, "delete": delete}[sys.argv[1]](*sys.argv[2:])

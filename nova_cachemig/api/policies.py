"""The policy rules, with the defaults and the personas of Nova. No I/O."""

from __future__ import annotations

from typing import Final

from oslo_policy import policy

ADMIN: Final = "rule:context_is_admin"
MANAGER: Final = "rule:project_manager_or_admin"
MEMBER: Final = "rule:project_member_or_admin"
READER: Final = "rule:project_reader_or_admin"

SERVICES_LIST: Final = "cachemig:services:list"
SERVICES_SHOW: Final = "cachemig:services:show"
SERVICES_DETAILS: Final = "cachemig:services:details"
HANDOVERS_LIST: Final = "cachemig:handovers:list"
HANDOVERS_SHOW: Final = "cachemig:handovers:show"
HANDOVERS_DETAILS: Final = "cachemig:handovers:details"
WRITES_LIST: Final = "cachemig:writes:list"
WRITES_SHOW: Final = "cachemig:writes:show"
WRITES_DETAILS: Final = "cachemig:writes:details"
WRITES_RESEND: Final = "cachemig:writes:resend"
WRITES_DISCARD: Final = "cachemig:writes:discard"
ALL_PROJECTS: Final = "cachemig:all_projects"

_BASE: Final = (
    policy.RuleDefault("context_is_admin", "role:admin", "The cloud's administrator."),
    policy.RuleDefault(
        "project_reader_api",
        "role:reader and project_id:%(project_id)s",
        "A reader of the project that owns the instance.",
    ),
    policy.RuleDefault(
        "project_member_api",
        "role:member and project_id:%(project_id)s",
        "A member of the project that owns the instance.",
    ),
    policy.RuleDefault(
        "project_manager_api",
        "role:manager and project_id:%(project_id)s",
        "A manager of the project that owns the instance.",
    ),
    policy.RuleDefault(
        "project_reader_or_admin",
        "rule:project_reader_api or rule:context_is_admin",
        "A reader of the project, or the administrator.",
    ),
    policy.RuleDefault(
        "project_member_or_admin",
        "rule:project_member_api or rule:context_is_admin",
        "A member of the project, or the administrator.",
    ),
    policy.RuleDefault(
        "project_manager_or_admin",
        "rule:project_manager_api or rule:context_is_admin",
        "A manager of the project, or the administrator.",
    ),
)


def _rule(
    name: str, check: str, description: str, method: str, *paths: str
) -> policy.DocumentedRuleDefault:
    operations = [{"method": method, "path": path} for path in paths]
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=operations,
        scope_types=["project"],
    )


_SERVICES, _SERVICE = "/v1/services", "/v1/services/{name}"
_HANDOVERS, _HANDOVER = "/v1/handovers", "/v1/handovers/{instance}/{request}"
_WRITES, _WRITE = "/v1/writes", "/v1/writes/{service}/{position}"

_CALLS: Final = (
    _rule(SERVICES_LIST, READER, "List the services of the project.", "GET", _SERVICES),
    _rule(SERVICES_SHOW, READER, "Show a service.", "GET", _SERVICE),
    _rule(
        SERVICES_DETAILS,
        ADMIN,
        "Show what a service reveals of the cloud: the guest's address and the error.",
        "GET",
        _SERVICES,
        _SERVICE,
    ),
    _rule(HANDOVERS_LIST, READER, "List the handovers of the project.", "GET", _HANDOVERS),
    _rule(HANDOVERS_SHOW, READER, "Show a handover.", "GET", _HANDOVER),
    _rule(
        HANDOVERS_DETAILS,
        ADMIN,
        "Show the hosts and the decisions of a handover.",
        "GET",
        _HANDOVERS,
        _HANDOVER,
    ),
    _rule(WRITES_LIST, READER, "List the quarantined writes of the project.", "GET", _WRITES),
    _rule(WRITES_SHOW, READER, "Show a write.", "GET", _WRITE),
    _rule(
        WRITES_DETAILS,
        ADMIN,
        "Show the note of a write, which names operators.",
        "GET",
        _WRITES,
        _WRITE,
    ),
    _rule(
        WRITES_RESEND,
        MEMBER,
        "Send a write in doubt to the guest again.",
        "POST",
        f"{_WRITE}/action (resend)",
    ),
    _rule(
        WRITES_DISCARD,
        MANAGER,
        "Discard a quarantined write. The guest never receives it.",
        "POST",
        f"{_WRITE}/action (discard)",
    ),
    _rule(
        ALL_PROJECTS,
        ADMIN,
        "List what belongs to all projects, with all_projects=true.",
        "GET",
        _SERVICES,
        _HANDOVERS,
        _WRITES,
    ),
)


def list_rules() -> list[policy.RuleDefault]:
    """Return all rules, for the enforcer and for the sample generator."""
    return [*_BASE, *_CALLS]

"""The caller of a request: project, roles, and the rights that the policy gives."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg
from oslo_context import context
from oslo_policy import policy

from nova_cachemig.api import policies
from nova_cachemig.api.errors import ApiError


def enforcer(conf: cfg.ConfigOpts) -> policy.Enforcer:
    """Return the enforcer with the default rules and the operator's file."""
    found = policy.Enforcer(conf)
    found.register_defaults(policies.list_rules())
    return found


class Caller:
    """The sender of a request, as Keystone's middleware has verified it."""

    def __init__(self, rules: policy.Enforcer, environ: dict[str, Any]) -> None:
        self._rules = rules
        self._context = context.RequestContext.from_environ(environ)
        self._known: dict[tuple[str, str | None], bool] = {}

    @property
    def project(self) -> str | None:
        """The project of the token; None: the token has another scope."""
        return self._context.project_id or None

    @property
    def name(self) -> str:
        """The user and the project, for records of decisions."""
        return f"user {self._context.user_id} of project {self._context.project_id}"

    def may(self, rule: str, owner: str | None) -> bool:
        """Whether the caller has the right for something that the project ``owner`` has.

        None: no project is known to own it. Only the administrator's rights apply then.
        """
        if (rule, owner) not in self._known:
            self._known[rule, owner] = self._ask(rule, owner)
        return self._known[rule, owner]

    def _ask(self, rule: str, owner: str | None) -> bool:
        # Not None: oslo.policy compares texts, and a token without a project has "None" too.
        target = {"project_id": owner or ""}
        try:
            return bool(self._rules.authorize(rule, target, self._context))
        except policy.InvalidScope:
            return False

    def require(self, rule: str, owner: str | None) -> None:
        """Raise ApiError (403) unless the caller has the right."""
        if not self.may(rule, owner):
            raise ApiError(403, f"the policy {rule} does not permit this request to you")

    def owns(self, owner: str | None) -> bool:
        """Whether the caller's project is this one."""
        return owner is not None and owner == self.project

"""Every call with every role. A new call without a row fails."""

from __future__ import annotations

from typing import Any

from nova_cachemig.api import policies
from nova_cachemig.api.access import Caller, enforcer
from nova_cachemig.api.calls import CALLS
from tests.unit.api.case import BLUE_VM, RED, RED_VM, ROLES, ApiCase, new_conf

PERSONAS = ("admin", "manager", "member", "reader", "service", "none", "foreign", "system")
_RESEND, _DISCARD = {"resend": {"reason": "r"}}, {"discard": {}}
LIST = (200, 200, 200, 200, 403, 403, 200, 403)
ALL = (200, 403, 403, 403, 403, 403, 403, 403)
SHOW = (200, 200, 200, 200, 403, 403, 404, 403)
NONE = (404, 404, 404, 404, 403, 403, 404, 403)
TABLE: tuple[tuple[str, str, dict[str, Any] | None, tuple[int, ...]], ...] = (
    # method, path of a thing of the red project, body, the status for each persona
    ("GET", "/v1/services", None, LIST),
    ("GET", "/v1/services?all_projects=true", None, ALL),
    ("GET", "/v1/services/shop", None, SHOW),
    ("GET", "/v1/services/nothing", None, NONE),
    ("GET", "/v1/handovers", None, LIST),
    ("GET", "/v1/handovers?all_projects=true", None, ALL),
    ("GET", f"/v1/handovers/{RED_VM}/req-red", None, SHOW),
    ("GET", f"/v1/handovers/{RED_VM}/req-blue", None, NONE),
    ("GET", "/v1/writes", None, LIST),
    ("GET", "/v1/writes?all_projects=true", None, ALL),
    ("GET", "/v1/writes/shop/1", None, SHOW),
    ("GET", "/v1/writes/shop/7", None, NONE),
    ("POST", "/v1/writes/shop/1/action", _RESEND, (202, 202, 202, 403, 403, 403, 404, 403)),
    ("POST", "/v1/writes/shop/1/action", _DISCARD, (202, 202, 403, 403, 403, 403, 404, 403)),
    ("POST", "/v1/writes/shop/7/action", _DISCARD, (404, 404, 403, 403, 403, 403, 404, 403)),
)


class AccessTest(ApiCase):
    def test_every_call_and_role(self) -> None:
        for method, path, body, expected in TABLE:
            found = tuple(self.ask(path, persona, method, body).status_int for persona in PERSONAS)
            with self.subTest(method=method, path=path, body=body):
                self.assertEqual(
                    dict(zip(PERSONAS, expected, strict=True)),
                    dict(zip(PERSONAS, found, strict=True)),
                )

    def test_the_table_has_every_call_and_every_persona(self) -> None:
        self.assertEqual(set(PERSONAS), {*ROLES, "system"})
        called = {(method, path.count("/")) for method, path, _, _ in TABLE}
        for call in CALLS:
            self.assertIn((call.method, call.path.count("/")), called)
            noun = call.path.split("/")[2]
            self.assertTrue(any(path.startswith(f"/v1/{noun}") for _, path, _, _ in TABLE))

    def test_every_policy_is_named_by_a_call(self) -> None:
        named = {rule for call in CALLS for rule in call.rules}
        declared = {rule.name for rule in policies.list_rules() if ":" in rule.name}
        self.assertEqual(declared, named)

    def test_no_response_names_a_thing_of_another_project(self) -> None:
        for persona in ("manager", "member", "reader"):
            for method, path, body, _ in TABLE:
                text = self.ask(path, persona, method, body).text
                for secret in ("news", BLUE_VM, "req-blue", "compute-", "10.0.0.7", "root@"):
                    if secret not in path:
                        self.assertNotIn(secret, text, f"{persona} {method} {path}")

    def test_nobody_gets_what_users_have_sent(self) -> None:
        for path in ("/v1/writes?all_projects=true", "/v1/writes/shop/1"):
            text = self.ask(path, "admin").text
            for secret in ("hunter2", "aHVudGVyMg", "198.51.100.9"):
                self.assertNotIn(secret, text)

    def test_a_token_without_a_project_does_not_own_what_has_no_owner(self) -> None:
        rules = enforcer(new_conf())
        caller = Caller(rules, {"HTTP_X_ROLES": "reader", "HTTP_X_USER_ID": "u"})
        self.assertFalse(caller.may(policies.SERVICES_SHOW, None))
        self.assertFalse(caller.owns(None))
        own = Caller(rules, {"HTTP_X_ROLES": "reader", "HTTP_X_PROJECT_ID": RED})
        self.assertTrue(own.may(policies.SERVICES_SHOW, RED))

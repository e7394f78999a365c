"""The noun write: whose a write is, pages, and the decisions."""

from __future__ import annotations

from typing import Any

from nova_cachemig.api.errors import ApiError
from tests.unit.api.case import BLUE, BLUE_VM, RED, RED_VM, ApiCase, record, service, write


class WritesTest(ApiCase):
    def ids(self, path: str, persona: str = "admin") -> list[str]:
        return [one["id"] for one in self.document(path, persona)["writes"]]

    def act(self, persona: str, name: str, **action: Any) -> int:
        return self.ask(f"/v1/writes/{name}/action", persona, "POST", action).status_int

    def test_only_what_waits_for_a_decision_is_listed(self) -> None:
        self.assertEqual(["shop/1", "shop/2"], self.ids("/v1/writes", "reader"))
        self.assertEqual(["news/3", "shop/1", "shop/2"], self.ids("/v1/writes?all_projects=true"))
        self.assertEqual(["news/3"], self.ids("/v1/writes?all_projects=true&service=news"))
        self.assertEqual([], self.ids("/v1/writes?service=news", "reader"))

    def test_show_has_the_path_but_not_the_query(self) -> None:
        shown = self.document("/v1/writes/shop/9", "reader")["write"]
        self.assertEqual(("/buy", "responded", RED), tuple(shown[k] for k in _SOME))
        self.assertNotIn("note", shown)
        self.assertIn("note", self.document("/v1/writes/shop/1")["write"])

    def test_an_unreadable_write(self) -> None:
        facts = write("shop/1", "damaged")
        for field in ("url", "method", "host", "length"):
            del facts[field]
        self.state.found_writes = [facts]
        self.assertIsNone(self.document("/v1/writes/shop/1", "reader")["write"]["path"])

    def test_pages(self) -> None:
        page = self.document("/v1/writes?limit=1", "reader")
        following = page["writes_links"][0]["href"]
        self.assertEqual(["shop/2"], self.ids(following, "reader"))
        self.assertEqual(["shop/2"], self.ids("/v1/writes?all_projects=true&marker=shop/1"))
        for marker in ("shop", "shop/x", "shop/1/2", "../1"):
            self.fails(400, f"/v1/writes?marker={marker}", "reader")

    def test_a_service_that_another_project_got_does_not_show_the_former_ones_writes(self) -> None:
        self.state.found_services = [service("shop", BLUE_VM)]
        self.state.found_handovers = [
            record(BLUE_VM, "req-2", "shop", started=2000.0),
            record(RED_VM, "req-1", "shop", started=1000.0),
        ]
        self.state.found_writes = [write("shop/1", at=1005.0), write("shop/2", at=2005.0)]
        self.assertEqual(["shop/2"], self.ids("/v1/writes", "foreign"))
        self.assertEqual([], self.ids("/v1/writes", "reader"))
        for persona in ("foreign", "manager"):
            self.fails(404, "/v1/writes/shop/1", persona)
            self.assertEqual(404, self.act(persona, "shop/1", discard={}))
        found = self.document("/v1/writes?all_projects=true")["writes"]
        self.assertEqual([None, BLUE], [one["project_id"] for one in found])

    def test_a_write_from_before_all_known_handovers_is_the_administrators(self) -> None:
        self.state.found_writes = [write("shop/1", at=10.0)]
        self.assertEqual([], self.ids("/v1/writes", "reader"))
        self.assertEqual(202, self.act("admin", "shop/1", discard={}))

    def test_decisions_reach_the_agent_with_the_user_and_the_reason(self) -> None:
        self.assertEqual(202, self.act("member", "shop/1", resend={"reason": "not charged"}))
        self.assertEqual(202, self.act("manager", "shop/2", discard={}))
        self.assertEqual(
            [
                ("resend", "shop/1", "not charged", f"user user-member of project {RED}"),
                ("discard", "shop/2", "", f"user user-manager of project {RED}"),
            ],
            self.state.decided,
        )

    def test_a_decision_that_the_state_does_not_allow(self) -> None:
        self.assertEqual(409, self.act("admin", "shop/2", resend={}))  # damaged
        self.assertEqual(409, self.act("admin", "shop/9", discard={}))  # responded
        self.assertEqual([], self.state.decided)

    def test_what_is_no_action(self) -> None:
        path = "/v1/writes/shop/1/action"
        for body in (
            {},
            {"resend": {}, "discard": {}},
            {"delete": {}},
            {"resend": {"reason": "a\nb"}},
            {"resend": {"reason": "x" * 501}},
            {"resend": {"reason": "\ud800"}},
            [],
            b"{",
            b"[" * 100_000,
            b"\xff",
        ):
            with self.subTest(str(body)[:40]):
                self.fails(400, path, "admin", "POST", body)
        self.fails(415, path, "admin", "POST")
        self.assertEqual([], self.state.decided)

    def test_names_that_no_write_can_have(self) -> None:
        for name in ("shop/01", "shop/x", "Shop/1", "shop/" + "9" * 30):
            self.fails(404, f"/v1/writes/{name}")

    def test_the_agent_is_away(self) -> None:
        self.state.error = ApiError(503, "away")
        self.fails(503, "/v1/writes", "reader")


_SOME = ("path", "state", "project_id")

"""The noun handover: times, phases, and the fields that only administrators see."""

from __future__ import annotations

import dataclasses

from tests.unit.api.case import BLUE_VM, RED_VM, ApiCase, record


class HandoversTest(ApiCase):
    def ids(self, path: str, persona: str = "admin") -> list[str]:
        return [one["id"] for one in self.document(path, persona)["handovers"]]

    def test_a_list(self) -> None:
        (shown,) = self.document("/v1/handovers", "reader")["handovers"]
        self.assertEqual("1970-01-01T00:16:40.000Z", shown["started_at"])
        self.assertEqual(("completed", {"hits": 7}), (shown["outcome"], shown["counts"]))
        self.assertNotIn("source", shown)
        (admins,) = self.document("/v1/handovers", "foreign")["handovers"]
        self.assertEqual(f"{BLUE_VM}/req-blue", admins["id"])

    def test_show(self) -> None:
        path = f"/v1/handovers/{RED_VM}/req-red"
        own = self.document(path, "reader")["handover"]
        self.assertEqual({"warming": 0.0}, own["phases"])
        self.assertNotIn("decisions", own)
        whole = self.document(path)["handover"]
        self.assertEqual("compute-source", whole["source"])
        self.assertEqual("warming", whole["decisions"][0]["phase"])
        self.assertEqual(f"http://localhost{path}", whole["links"][0]["href"])

    def test_a_running_one(self) -> None:
        found = record(RED_VM, "req-red", "shop")
        self.state.found_handovers = [dataclasses.replace(found, ended=None, outcome=None)]
        (shown,) = self.document("/v1/handovers", "reader")["handovers"]
        self.assertEqual((None, None), (shown["outcome"], shown["ended_at"]))

    def test_filters_and_pages(self) -> None:
        everything = "/v1/handovers?all_projects=true"
        self.assertEqual(2, len(self.ids(everything)))
        self.assertEqual([f"{RED_VM}/req-red"], self.ids(everything + "&service=shop"))
        self.assertEqual([f"{BLUE_VM}/req-blue"], self.ids(f"{everything}&instance={BLUE_VM}"))
        page = self.document(everything + "&limit=1")
        following = page["handovers_links"][0]["href"]
        self.assertEqual([f"{RED_VM}/req-red"], self.ids(following))
        self.fails(400, everything + "&service=not%00a-name")

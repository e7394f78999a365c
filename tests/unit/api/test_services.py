"""The noun service: pages, filters, links, and the fields that only administrators see."""

from __future__ import annotations

from tests.unit.api.case import BLUE, BLUE_VM, LOST_VM, RED, RED_VM, ApiCase, service


class ServicesTest(ApiCase):
    def names(self, path: str, persona: str = "admin") -> list[str]:
        return [one["name"] for one in self.document(path, persona)["services"]]

    def test_a_project_sees_its_own_services(self) -> None:
        self.assertEqual(["shop"], self.names("/v1/services", "reader"))
        self.assertEqual(["news"], self.names("/v1/services", "foreign"))
        self.assertEqual(["news"], self.names("/v1/services"))  # the administrator's project
        self.assertEqual(["news", "shop"], self.names("/v1/services?all_projects=true"))

    def test_what_reveals_the_cloud_is_for_administrators(self) -> None:
        (shown,) = self.document("/v1/services", "reader")["services"]
        self.assertEqual((RED, RED_VM, "idle"), tuple(shown[k] for k in _SOME))
        self.assertEqual(set(), {"address", "error", "address_from", "tls"} & shown.keys())
        whole = self.document("/v1/services/shop")["service"]
        self.assertEqual("10.0.0.7", whole["address"])
        self.assertNotIn("tls", whole)
        self.assertEqual("http://localhost/v1/services/shop", whole["links"][0]["href"])

    def test_an_agent_of_an_older_version_has_fewer_fields(self) -> None:
        self.state.found_services = [{"name": "old", "listen": "192.0.2.1:80", "phase": "idle"}]
        (shown,) = self.document("/v1/services?all_projects=true")["services"]
        self.assertEqual(("", "unknown", None), tuple(shown[k] for k in _OLD))
        self.assertEqual([], self.names("/v1/services", "reader"))

    def test_a_service_whose_instance_is_gone_belongs_to_no_project(self) -> None:
        self.state.found_services = [service("lost", LOST_VM)]
        self.fails(404, "/v1/services/lost", "reader")
        self.assertIsNone(self.document("/v1/services/lost")["service"]["project_id"])

    def test_pages_with_markers(self) -> None:
        self.state.found_services = [service(f"s{n}", RED_VM) for n in range(5)]
        found, path = [], "/v1/services?limit=2"
        while path:
            page = self.document(path, "reader")
            found.append([one["name"] for one in page["services"]])
            path = next((x["href"] for x in page.get("services_links", ())), "")
        self.assertEqual([["s0", "s1"], ["s2", "s3"], ["s4"]], found)
        self.application = self.make(max_limit=3)
        self.assertEqual(3, len(self.names("/v1/services?limit=1000", "reader")))
        self.fails(400, "/v1/services?marker=news", "reader")

    def test_filter_by_instance(self) -> None:
        path = "/v1/services?all_projects=true&instance="
        self.assertEqual(["news"], self.names(path + BLUE_VM))
        self.assertEqual([], self.names(path + LOST_VM))
        self.fails(400, path + "x")

    def test_while_nova_is_away_administrators_see_all_and_the_others_nothing(self) -> None:
        self.projects.away = True
        (first, *_) = self.document("/v1/services?all_projects=true")["services"]
        self.assertIsNone(first["project_id"])
        self.document("/v1/services/shop")
        for name in ("shop", "news", "nothing"):  # no difference tells which exist
            self.fails(503, f"/v1/services/{name}", "reader")
        self.fails(503, "/v1/services", "reader")

    def test_the_admin_of_a_project_is_its_owner_too(self) -> None:
        self.assertEqual(BLUE, self.document("/v1/services/news")["service"]["project_id"])


_SOME = ("project_id", "instance", "phase")
_OLD = ("instance", "reached", "project_id")

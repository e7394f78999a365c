import json

import yaml

from tests.unit.cmd.manage.case import UUID, ManageCase

ADD = (
    *("--offline", "service", "add", "shop", "--instance", UUID, "--port", "80"),
    *("--listen", "192.0.2.1:80", "--no-check"),
)


class PolicyTest(ManageCase):
    def rules(self) -> list[dict[str, str]]:
        return json.loads(self.succeeds("--offline", "service", "policy", "shop", "-f", "json"))

    def test_without_a_policy_it_lists_the_default(self) -> None:
        self.succeeds(*ADD)
        rules = self.rules()
        self.assertEqual(["default"] * 2, [rule["origin"] for rule in rules])
        self.assertEqual("all", rules[0]["paths"])
        self.assertIn("script_cookies: _ga, _ga_*", rules[0]["says"])
        self.assertIn("ignore_query: utm_*", rules[1]["says"])
        shown = json.loads(self.succeeds("--offline", "service", "show", "shop", "-f", "json"))
        self.assertNotIn("policy", shown)

    def test_presets_with_their_missing_consent(self) -> None:
        self.succeeds(*ADD, "--preset", "json-api", "--preset", "static")
        rules = self.rules()
        origins = ["preset json-api", "preset json-api", "preset static", "default", "default"]
        self.assertEqual(origins, [rule["origin"] for rule in rules])
        self.assertEqual(["", "stale", "", "", ""], [rule["needs consent"] for rule in rules])
        self.assertEqual(("/*", "stale: true"), (rules[1]["paths"], rules[1]["says"]))

    def test_show_has_the_policy_for_people_and_for_programs(self) -> None:
        self.succeeds(*ADD, "--preset", "json-api")
        path = self.root / "services.d" / "shop.yaml"
        policy = (
            "  policy:\n    presets: [json-api]\n    consent: [stale]\n    defaults: false\n"
            "    rules: [{never: true}]\n"
        )
        text = path.read_text()
        path.write_text(text[: text.index("  policy:")] + policy)
        self.assertIn(
            "presets: json-api; consent: stale; without the default rules; 1 own rules",
            self.succeeds("--offline", "service", "show", "shop"),
        )
        shown = json.loads(self.succeeds("--offline", "service", "show", "shop", "-f", "json"))
        self.assertEqual([{"never": True}], shown["policy"]["rules"])
        self.assertEqual(["service", "preset json-api", "preset json-api"],
                         [rule["origin"] for rule in self.rules()])  # fmt: skip

    def test_a_wrong_preset_names_all(self) -> None:
        err = self.fails(*ADD, "--preset", "typo3")
        self.assertIn("no preset is named 'typo3'; there are: django, dokuwiki", err)
        self.assertEqual([], list((self.root / "services.d").iterdir()))

    def test_an_unknown_service(self) -> None:
        err = self.fails("--offline", "service", "policy", "x")
        self.assertIn("no service is named x; the services: none", err)

    def test_learn_prints_a_policy_and_changes_nothing(self) -> None:
        self.succeeds(*ADD)
        file = self.root / "services.d" / "shop.yaml"
        before = file.read_text()
        step = {"why": "files", "gain": 3, "rule": {"paths": ["/a/*"], "static": True}}
        self.endpoint.proposal = {
            "since": 0.0, "requests": 9, "reads": 6, "shared": 2, "present": {}, "steps": [step],
            "unknown_cookies": [],
        }  # fmt: skip
        self.serve()
        entry = yaml.safe_load(self.succeeds("policy", "learn", "shop"))
        self.assertEqual({"policy": {"rules": [step["rule"]]}}, entry)
        self.assertIn(("propose_policy", "shop"), self.endpoint.received)
        self.assertEqual(before, file.read_text())
        self.assertIn("running agent", self.fails("--offline", "policy", "learn", "shop"))

    def test_the_policy_of_an_agent_of_another_version(self) -> None:
        self.endpoint.found = [{"name": "shop", "policy": {"presets": ["later"]}}]
        self.serve()
        err = self.fails("service", "policy", "shop")
        self.assertIn("is not valid in this version: policy.presets: no preset is", err)

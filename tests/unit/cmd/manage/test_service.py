import json
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.offline import Added, OfflineAgent
from nova_cachemig.model.handover import HandoverId, HandoverRecord
from nova_cachemig.model.phase import Phase
from nova_cachemig.model.reach import Attempt, Reach
from nova_cachemig.model.service import Target
from tests.unit.cmd.manage.case import UUID, ManageCase

ADD = (
    *("service", "add", "shop", "--instance", UUID, "--port", "80"),
    *("--listen", "192.0.2.1:80", "--no-check"),
)


class OnlineTest(ManageCase):
    def setUp(self) -> None:
        super().setUp()
        self.reload_errors: list[str] = []
        self.endpoint.reload = self._reload  # type: ignore[method-assign]
        self.serve()

    def _reload(self, ctxt: object) -> list[str]:
        return self.reload_errors

    def test_list_and_show_have_phase_and_error(self) -> None:
        self.endpoint.found = [
            {"name": "shop", "hosts": ["a", "b"], "phase": "shielded", "error": "no address"}
        ]
        [row] = json.loads(self.succeeds("service", "list", "-f", "json"))
        self.assertEqual(("a, b", "shielded", "no address"),
                         (row["hosts"], row["phase"], row["error"]))  # fmt: skip
        shown = json.loads(self.succeeds("service", "show", "shop", "-f", "json"))
        self.assertEqual(self.endpoint.found[0], shown)
        self.assertIn(
            "no service is named x; the services: shop", self.fails("service", "show", "x")
        )

    def test_show_has_what_the_policy_did_in_the_last_handover(self) -> None:
        did = {"held": {"private": 2}, "examples": {"private": ["/account"]}}
        record = HandoverRecord(
            HandoverId(UUID, "req-1"), ("shop",), "a", "b", Phase.RELEASED, 0.0,
            effects={"shop": did},
        )  # fmt: skip
        self.endpoint.found = [{"name": name, "instance": UUID} for name in ("shop", "blog")]
        with mock.patch.object(self.endpoint, "handover", return_value=record):
            shown = json.loads(self.succeeds("service", "show", "shop", "-f", "json"))
            text = self.succeeds("service", "show", "shop")
            other = json.loads(self.succeeds("service", "show", "blog", "-f", "json"))
        began = {"request": "req-1", "started": "1970-01-01 00:00:00"}
        self.assertEqual(began | did, shown["last_handover"])
        self.assertIn("held: 2 (private 2)", text)
        self.assertNotIn("last_handover", other)

    def test_an_invalid_service_file_is_a_row_with_its_error(self) -> None:
        pong = {"service_errors": ["b.yaml: x"]}
        with mock.patch.object(self.endpoint, "ping", return_value=pong):
            rows = json.loads(self.succeeds("service", "list", "-f", "json"))
        self.assertEqual(["shop", ""], [row["name"] for row in rows])
        self.assertEqual("b.yaml: x", rows[1]["error"])

    def test_files_of_another_node_are_not_changed(self) -> None:
        for words in (ADD, ("service", "remove", "shop")):
            err = self.fails("--agent", "cache2", *words)
            self.assertIn("changes files on this node, cache1", err)
        self.assertEqual([], list((self.root / "services.d").iterdir()))

    def test_add_writes_the_file_and_the_agent_reads_it(self) -> None:
        path = self.root / "services.d" / "shop.yaml"
        self.assertEqual(f"{path}\n", self.succeeds(*ADD))
        self.assertTrue(path.exists())
        self.assertEqual(f"{path}\n", self.succeeds("service", "remove", "shop"))
        self.assertFalse(path.exists())

    def test_add_without_a_message_bus_says_that_the_file_is_written(self) -> None:
        text = self.config.read_text().replace("transport_url = fake://", "")
        self.config.write_text(text)
        err = self.fails(*ADD)
        self.assertIn("has not applied it: [DEFAULT] transport_url is not set", err)
        self.assertTrue((self.root / "services.d" / "shop.yaml").exists())

    def test_the_objections_of_the_agent_are_printed_line_by_line(self) -> None:
        self.reload_errors = ["shop: no address", "the port is taken"]
        self.assertEqual(
            [f"nova-cachemig-manage: {error}" for error in self.reload_errors],
            self.fails(*ADD).splitlines(),
        )

    def test_what_is_not_valid_is_not_written(self) -> None:
        err = self.fails(*ADD[:-1], "--network", "", "--client-cookie", "a b")
        self.assertEqual(
            "nova-cachemig-manage: client_cookie: 'a b' is not valid; expected: the name of a "
            "cookie, for instance session\n",
            err,
        )
        self.assertEqual([], list((self.root / "services.d").iterdir()))


class WithoutAgentTest(ManageCase):
    def test_add_says_that_the_file_is_written_but_not_in_force(self) -> None:
        err = self.fails("--timeout", "0.2", *ADD)
        self.assertIn(
            "the file is written, but the agent has not applied it: agent cache1 does not respond",
            err,
        )
        self.assertTrue((self.root / "services.d" / "shop.yaml").exists())

    def test_add_says_whether_the_guest_is_reachable(self) -> None:
        target = Target("10.0.0.5", 8080)
        for attempt, part in (
            (
                Attempt(Reach.REACHABLE, "192.0.2.9"),
                "is reachable at 10.0.0.5:8080, from 192.0.2.9",
            ),
            (Attempt(Reach.REFUSED, "192.0.2.9"), "warning: the guest is not reachable"),
            (Attempt(Reach.SILENT, "192.0.2.9"), "--dst-port 8080 --remote-ip 192.0.2.9 GROUP"),
        ):
            added = Added(Path("shop.yaml"), (target, attempt))
            with (
                self.subTest(part),
                mock.patch.object(OfflineAgent, "add_service", return_value=added),
            ):
                code, out, err = self.manage("--offline", *ADD[:-1])
                self.assertEqual((0, "shop.yaml\n"), (code, out))
                self.assertIn(part, err)

    def test_offline_there_is_only_the_agent_of_this_node(self) -> None:
        err = self.fails("--offline", "--agent", "cache2", "service", "list")
        self.assertIn("this node's agent, cache1, not those of cache2", err)
        self.succeeds("--offline", "--agent", "cache1", "service", "list")

    def test_the_way_to_the_guest(self) -> None:
        self.succeeds("--offline", *ADD, "--floating", "--network", "n")
        shown = json.loads(self.succeeds("--offline", "service", "show", "shop", "-f", "json"))
        self.assertEqual((True, "n"), (shown["floating"], shown["network"]))
        self.succeeds("--offline", "service", "remove", "shop")
        self.succeeds("--offline", *ADD, "--address", "2001:DB8::5", "--no-forwarded-for")
        shown = json.loads(self.succeeds("--offline", "service", "show", "shop", "-f", "json"))
        self.assertEqual(("2001:db8::5", False), (shown["address"], shown["forwarded_for"]))
        self.assertIn(
            "that no guest can have", self.fails("--offline", *ADD, "--address", "127.0.0.1")
        )

    def test_offline_only_the_files_count(self) -> None:
        self.succeeds("--offline", *ADD, "--honours-keys", "--writes", "accept")
        [row] = json.loads(self.succeeds("--offline", "service", "list", "-f", "json"))
        self.assertEqual(("shop", "accept"), (row["name"], row["writes"]))
        self.assertNotIn("phase", row)
        shown = json.loads(self.succeeds("--offline", "service", "show", "shop", "-f", "json"))
        self.assertTrue(shown["honours_keys"])
        self.succeeds("--offline", "service", "remove", "shop")
        self.assertIn("no service is named", self.fails("--offline", "service", "remove", "shop"))

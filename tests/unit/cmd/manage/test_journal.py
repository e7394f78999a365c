import json
import stat

from tests.unit.cmd.manage.case import ManageCase

FACTS = {
    "write": "shop/1",
    "state": "in_doubt",
    "accepted_at": 1.5,
    "note": "connection lost",
    "method": "POST",
    "url": "/orders",
    "length": 3,
    "spool": None,
    "headers": [["accept", "*/*"]],
    "body": "YWJj",
}
LARGE = {k: v for k, v in FACTS.items() if k != "body"} | {"write": "shop/2", "length": 7}


class JournalTest(ManageCase):
    def setUp(self) -> None:
        super().setUp()
        self.review.canned = {"shop/1": dict(FACTS), "shop/2": dict(LARGE)}
        self.review.bodies = {"shop/1": [b"abc"], "shop/2": [b"abcd", b"efg"]}
        self.serve(self.review)

    def test_list(self) -> None:
        out = self.succeeds("journal", "list", "-f", "json")
        self.assertEqual(["shop/1", "shop/2"], [one["write"] for one in json.loads(out)])
        self.succeeds("journal", "list", "--service", "shop", "--waiting")
        states = ["in_doubt", "damaged", "resend"]
        self.assertEqual(
            [(states, None, None, False), ([*states, "accepted"], "shop", None, False)],
            self.review.asked,
        )

    def test_a_misspelt_service_is_not_an_empty_list(self) -> None:
        self.review.canned = {}
        out = self.succeeds("journal", "list", "--service", "shop", "-f", "json")
        self.assertEqual([], json.loads(out))
        err = self.fails("journal", "list", "--service", "shpo")
        self.assertIn("the agent has no service shpo; its services: shop", err)

    def test_show(self) -> None:
        shown = json.loads(self.succeeds("journal", "show", "shop/1", "-f", "json"))
        self.assertEqual(FACTS, shown)

    def test_people_get_dates(self) -> None:
        for words in (("journal", "list"), ("journal", "show", "shop/1")):
            self.assertIn("| 1970-01-01 00:00:01 |", self.succeeds(*words).replace("  ", ""))

    def test_a_body_is_saved_for_the_caller_alone(self) -> None:
        path = self.root / "body.bin"
        out = self.succeeds("journal", "show", "shop/2", "--body", str(path), "-f", "json")
        self.assertNotIn("headers", json.loads(out))
        self.assertEqual(b"abcdefg", path.read_bytes())
        self.assertEqual(0o600, stat.S_IMODE(path.stat().st_mode))
        self.assertIn("File exists", self.fails("journal", "show", "shop/1", "--body", str(path)))
        self.assertEqual(b"abcdefg", path.read_bytes())

    def test_a_body_that_cannot_be_had_whole_leaves_no_file(self) -> None:
        self.review.error = ValueError("cannot read the body of shop/2: damaged")
        path = self.root / "body.bin"
        self.assertIn("damaged", self.fails("journal", "show", "shop/2", "--body", str(path)))
        self.assertFalse(path.exists())

    def test_decisions_name_who_made_them(self) -> None:
        self.succeeds("journal", "resend", "shop/1", "--reason", "it is missing")
        self.succeeds("journal", "discard", "shop/2")
        first, second = self.review.asked
        self.assertEqual(("resend", "shop/1", "it is missing"), first[:3])
        self.assertEqual(("discard", "shop/2", ""), second[:3])
        self.assertRegex(first[3], r"^\S+@\S+$")

    def test_export_saves_the_large_bodies(self) -> None:
        out = self.succeeds("journal", "export", "--bodies", str(self.root))
        first, second = [json.loads(line) for line in out.splitlines()]
        self.assertEqual(FACTS, first)
        self.assertEqual(str(self.root / "shop-2"), second["body_file"])
        self.assertEqual(b"abcdefg", (self.root / "shop-2").read_bytes())

    def test_export_goes_on_after_a_body_that_cannot_be_read(self) -> None:
        self.review.error = ValueError("cannot read the body of shop/2: damaged")
        out = self.succeeds("journal", "export", "--bodies", str(self.root))
        self.assertIn("damaged", json.loads(out.splitlines()[1])["unreadable"])

    def test_a_write_that_is_not_there_is_a_sentence(self) -> None:
        [line] = self.fails("journal", "show", "shop/99").splitlines()
        self.assertEqual("nova-cachemig-manage: the journal has no write shop/99", line)


class OfflineTest(ManageCase):
    def test_what_is_not_a_write_is_refused_before_anything_is_read(self) -> None:
        self.config.unlink()
        for command in ("show", "resend", "discard"):
            err = self.refuses("--offline", "journal", command, "shop")
            self.assertIn("SERVICE/POSITION: 'shop' is not the name of a write, for instance", err)

    def test_without_a_journal_it_is_a_sentence(self) -> None:
        for words in (("list",), ("show", "shop/1"), ("resend", "shop/1"), ("export",)):
            self.assertIn("no journal", self.fails("--offline", "journal", *words))

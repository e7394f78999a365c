from __future__ import annotations

import hashlib
import unittest

from hypothesis import given
from hypothesis import strategies as st

from tools.measurement.analysis.outcome import Audit
from tools.measurement.checker import Read, Write, audit
from tools.measurement.guestlog import Applied


def write(name: str, sent: float, acked: float | None, client: str = "c1", **more: str) -> Write:
    return Write(name, client, "PUT", more.get("path", "/item/1"), sent, acked)


def applied(*names: str, path: str = "/item/1") -> list[Applied]:
    return [Applied(seq, "PUT", path, "c1", name) for seq, name in enumerate(names, 1)]


class PlantedTest(unittest.TestCase):
    def assert_only(self, found: Audit, **wrong: int) -> None:
        names = ("lost", "doubled", "reordered", "reordered_per_client", "altered")
        for name in names:
            self.assertEqual(wrong.get(name, 0), getattr(found, f"writes_{name}"), name)
        self.assertEqual(wrong.get("stale", 0), found.stale_reads_after_write)
        self.assertEqual(bool(wrong), bool(found.findings))

    def test_clean(self) -> None:
        writes = [write("a", 0, 1), write("b", 2, 3), write("c", 2, 2.5, "c2")]
        reads = [Read("r", "/item/1", 3.5, 3), Read("q", "/item/1", 1.5, 1)]
        found = audit(writes, reads, applied("a", "c", "b"))
        self.assert_only(found)
        self.assertEqual((3, 2), (found.writes_acked, found.reads_checked))

    def test_lost(self) -> None:
        found = audit([write("a", 0, 1), write("b", 2, 3)], [], applied("a"))
        self.assert_only(found, lost=1)
        self.assertIn("lost: PUT /item/1 (b)", found.findings)

    def test_unacknowledged_may_be_missing(self) -> None:
        found = audit([write("a", 0, None)], [], [])
        self.assert_only(found)
        self.assertEqual(0, found.writes_acked)

    def test_doubled_even_if_unacknowledged(self) -> None:
        writes = [write("a", 0, 1), write("b", 2, None)]
        self.assert_only(audit(writes, [], applied("a", "b", "b", "a")), doubled=2)

    def test_reordered_by_one_client(self) -> None:
        writes = [write("a", 0, 1), write("b", 2, 3)]
        self.assert_only(audit(writes, [], applied("b", "a")), reordered=1, reordered_per_client=1)

    def test_reordered_across_clients(self) -> None:
        writes = [write("a", 0, 1, "c1"), write("b", 2, 3, "c2")]
        self.assert_only(audit(writes, [], applied("b", "a")), reordered=1)

    def test_writes_under_way_together_have_no_order(self) -> None:
        writes = [write("a", 0, 3), write("b", 2, 2.5)]
        self.assert_only(audit(writes, [], applied("b", "a")))
        self.assert_only(audit(writes, [], applied("a", "b")))

    def test_an_instant_shared_is_no_order(self) -> None:
        self.assert_only(audit([write("a", 0, 1), write("b", 1, 2)], [], applied("b", "a")))

    def test_an_unacknowledged_write_can_come_too_early(self) -> None:
        writes = [write("a", 0, 1), write("b", 2, None)]
        self.assert_only(audit(writes, [], applied("b", "a")), reordered=1, reordered_per_client=1)

    def test_stale(self) -> None:
        writes = [write("a", 0, 1), write("b", 2, 3)]
        log = applied("a", "b")
        self.assert_only(audit(writes, [Read("r", "/item/1", 3.1, 1)], log), stale=1)
        self.assert_only(audit(writes, [Read("r", "/item/1", 2.9, 1)], log))
        self.assert_only(audit(writes, [Read("r", "/item/2", 3.1, 0)], log))
        self.assert_only(audit(writes, [Read("r", "/item/1", 3.1, 9)], log))

    def test_altered(self) -> None:
        body = b"what was sent"
        sent = Write("a", "c1", "PUT", "/item/1", 0, 1, body)
        for digest in (hashlib.sha1(body), hashlib.sha256(body), hashlib.md5(body)):
            entry = Applied(1, "PUT", "/item/1", "c1", "a", "", digest.hexdigest())
            self.assert_only(audit([sent], [], [entry]))
        other = Applied(1, "PUT", "/item/1", "c1", "a", "", hashlib.sha1(b"other").hexdigest())
        self.assert_only(audit([sent], [], [other]), altered=1)
        self.assert_only(audit([sent], [], applied("a", path="/item/2")), altered=1)
        unknown = Applied(1, "PUT", "/item/1", "c1", "a", "", "1234")
        self.assert_only(audit([sent], [], [unknown]))

    def test_other_peoples_writes_are_left_out(self) -> None:
        self.assert_only(audit([write("a", 0, 1)], [], applied("x", "a", "y", "x")))

    def test_many_findings_are_abbreviated(self) -> None:
        found = audit([write(f"w{n}", n, n + 0.5) for n in range(100)], [], [])
        self.assertEqual(6, len(found.findings))
        self.assertIn("lost: 95 more", found.findings)


SPAN = st.tuples(st.integers(0, 50), st.integers(0, 20), st.booleans(), st.sampled_from("xyz"))


def history(spans: list[tuple[int, int, bool, str]]) -> tuple[list[Write], list[Applied]]:
    """Writes that a linearizable guest applied: each at an instant between sent and responded."""
    writes, order = [], []
    for number, (sent, wait, responded, client) in enumerate(spans):
        acked = float(sent + wait + 1) if responded else None
        writes.append(Write(f"w{number}", client, "PUT", f"/item/{client}", float(sent), acked))
        order.append((sent + (number * 7 % (wait + 2)) / (wait + 2) * (wait + 1), number))
    log = [
        Applied(seq, "PUT", writes[number].path, writes[number].client, f"w{number}")
        for seq, (_, number) in enumerate(sorted(order), 1)
    ]
    return writes, log


class HistoryTest(unittest.TestCase):
    @given(st.lists(SPAN, max_size=30))
    def test_a_true_history_has_no_findings(self, spans: list[tuple[int, int, bool, str]]) -> None:
        writes, log = history(spans)
        reads = [
            Read(
                f"r{at}",
                f"/item/{name}",
                float(at),
                # an honest guest shows at least all writes that have a response
                max(
                    [e.seq for e in log if e.path == f"/item/{name}" and _acked(writes, e, at)]
                    or [0]
                ),
            )
            for at in range(0, 80, 7)
            for name in "xyz"
        ]
        self.assertEqual((), audit(writes, reads, log).findings)

    @given(st.lists(SPAN, max_size=30), st.randoms(use_true_random=False))
    def test_reordered_agrees_with_a_comparison_of_all_pairs(
        self, spans: list[tuple[int, int, bool, str]], rng: object
    ) -> None:
        writes, log = history(spans)
        names = [entry.request for entry in log]
        rng.shuffle(names)  # type: ignore[attr-defined]
        place = {name: seq for seq, name in enumerate(names, 1)}
        shuffled = [Applied(place[e.request], e.method, e.path, e.client, e.request) for e in log]

        def early(b: Write, same: bool) -> bool:
            return any(
                a.acked is not None
                and a.acked < b.sent
                and place[b.request] < place[a.request]
                and (a.client == b.client or not same)
                for a in writes
            )

        found = audit(writes, [], shuffled)
        self.assertEqual(sum(early(b, False) for b in writes), found.writes_reordered)
        self.assertEqual(sum(early(b, True) for b in writes), found.writes_reordered_per_client)

    @given(st.lists(SPAN, min_size=1, max_size=20), st.data())
    def test_one_lost_and_one_doubled(
        self, spans: list[tuple[int, int, bool, str]], data: st.DataObject
    ) -> None:
        writes, log = history(spans)
        gone = data.draw(st.integers(0, len(log) - 1))
        twice = data.draw(st.integers(0, len(log) - 1))
        broken = log[:gone] + log[gone + 1 :]
        broken.append(Applied(len(log) + 1, "PUT", log[twice].path, "", log[twice].request))
        found = audit(writes, [], broken)
        lost_one = next(w for w in writes if w.request == log[gone].request)
        lost = twice != gone and lost_one.acked is not None
        self.assertEqual(int(lost), found.writes_lost)
        self.assertEqual(int(twice != gone), found.writes_doubled)


def _acked(writes: list[Write], entry: Applied, at: float) -> bool:
    sent = next(write for write in writes if write.request == entry.request)
    return sent.acked is not None and sent.acked < at

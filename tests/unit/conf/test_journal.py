"""[journal]: former names keep working."""

from __future__ import annotations

from oslo_config import cfg

from tests.unit.conf.case import ConfTest


class JournalOptions(ConfTest):
    def test_former_names(self) -> None:
        for old, new, value in (
            ("settle", "resume_delay", 2.5),
            ("answer_timeout", "response_timeout", 7.0),
            ("max_answer", "max_response", 4096),
            ("keep_answers", "keep_responses", 60),
        ):
            with self.subTest(old):
                conf = self.read(f"[journal]\n{old} = {value}\n")
                self.assertEqual(value, conf.journal[new])

    def test_sizes(self) -> None:
        conf = self.read("[journal]\nmax_body = 2m\nmin_free = 0\n")
        self.assertEqual((2 << 20, 0), (conf.journal.max_body, conf.journal.min_free))
        self.assertEqual(64 << 10, conf.journal.spool_threshold)
        self.assertEqual(4 << 30, conf.journal.max_waiting_bytes)
        self.assertEqual(0, self.read("").journal.max_body)

    def test_a_client_may_stall_as_long_as_without_the_agent(self) -> None:
        conf = self.read("")
        self.assertEqual(conf.engine.client_timeout, conf.journal.body_timeout)

    def test_bounds(self) -> None:
        for line in ("spool_threshold = 32m", "max_body = -1", "max_body = large", "pipeline = 0"):
            with self.subTest(line), self.assertRaises(cfg.Error):
                self.read(f"[journal]\n{line}\n")

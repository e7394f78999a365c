import unittest
from typing import Any

from nova_cachemig.doctor.verdict import Status, Verdict
from nova_cachemig.doctor.verdicts import bus
from nova_cachemig.doctor.verdicts.bus import Attempt, Fault
from nova_cachemig.rpc import rabbit


def connection(*attempts: Attempt) -> Verdict:
    return bus.connection(attempts, user="u", vhost="/v", option="transport_url")


class BusTest(unittest.TestCase):
    def test_each_fault_has_a_sentence_and_a_remedy(self) -> None:
        for fault in Fault:
            with self.subTest(fault):
                verdict = connection(Attempt("r:5672", fault, "why"))
                self.assertEqual(Status.FAILED, verdict.status)
                self.assertIn("r:5672", verdict.what)
                self.assertIn("(why)", verdict.what)
                self.assertNotIn("{", verdict.what + verdict.remedy)
                self.assertTrue(verdict.remedy)

    def test_one_node_of_several_is_enough(self) -> None:
        self.assertEqual(Status.OK, connection(Attempt("a:1"), Attempt("b:1")).status)
        verdict = connection(Attempt("a:1", Fault.REFUSED), Attempt("b:1"))
        self.assertEqual(Status.WARNING, verdict.status)
        self.assertIn("In use: b:1", verdict.what)

    def test_the_same_remedy_is_given_once(self) -> None:
        verdict = connection(Attempt("a:1", Fault.REFUSED), Attempt("b:1", Fault.REFUSED))
        self.assertEqual(1, verdict.remedy.count("Start RabbitMQ"))

    def test_missing_rights_are_named(self) -> None:
        def rights(refused: dict[str, str], *, calls: bool) -> Verdict:
            return bus.rights(refused, user="u", vhost="/", calls=calls)

        self.assertEqual(Status.OK, rights({}, calls=True).status)
        verdict = rights({"write": "amq.default"}, calls=False)
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("write on amq.default", verdict.what)
        self.assertIn("amq\\.default", verdict.remedy)
        self.assertEqual(rabbit.REPLIES, bus.REPLIES)
        replies = {"configure": f"{rabbit.REPLIES}…"}
        self.assertEqual(Status.WARNING, rights(replies, calls=False).status)
        self.assertEqual(Status.FAILED, rights(replies, calls=True).status)

    def test_other_flags_and_an_alarm(self) -> None:
        self.assertEqual(Status.OK, bus.flags([]).status)
        self.assertIn("queue x", bus.flags(["queue x"]).what)
        self.assertEqual(Status.FAILED, bus.blocked().status)

    def test_who_listens(self) -> None:
        good: dict[str, Any] = {"host": "cache1", "version": "2", "listening": True}
        for consumers, ping, status, text in (
            (None, None, Status.FAILED, "No agent"),
            (0, None, Status.FAILED, "No agent"),
            (2, good, Status.FAILED, "2 agents"),
            (1, None, Status.FAILED, "does not respond"),
            (1, {**good, "listening": False}, Status.WARNING, "cache1"),
            (1, good, Status.OK, "cache1, version 2"),
        ):
            with self.subTest(text):
                verdict = bus.agent("t", consumers, ping)
                self.assertEqual(status, verdict.status)
                self.assertIn(text, verdict.what)

    def test_the_agent_of_another_node_is_not_the_one_of_this_node(self) -> None:
        ping = {"host": "cache1", "version": "1", "listening": True}
        self.assertEqual(Status.OK, bus.agent("t", 1, ping, "cache1").status)
        verdict = bus.agent("t", 1, ping, "cache2")
        self.assertEqual(Status.FAILED, verdict.status)
        self.assertIn("the agent of this node, cache2, does not", verdict.what)
        self.assertIn("Stop all agents except one", verdict.remedy)

    def test_a_forecaster_is_optional(self) -> None:
        self.assertEqual(Status.WARNING, bus.forecaster("t", None).status)
        self.assertIn("1 forecaster listens", bus.forecaster("t", 1).what)
        self.assertIn("2 forecasters listen", bus.forecaster("t", 2).what)


if __name__ == "__main__":
    unittest.main()

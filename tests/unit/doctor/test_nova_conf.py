import unittest

from nova_cachemig.doctor import nova_conf
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from tests.unit.doctor.files import Case


class NovaConfTest(Case):
    def statuses(self, text: str, *, agent: bool = True) -> dict[str, Status]:
        context = Context(self.agent() if agent else None, self.nova(text))
        return {
            check.name.partition(".")[2]: verdict.status
            for check in nova_conf.checks(context)
            for verdict in check.run()
        }

    def test_an_empty_file(self) -> None:
        found = self.statuses("")
        self.assertEqual(Status.FAILED, found.pop("driver"))
        self.assertEqual(Status.OK, found.pop("topics"))
        self.assertEqual({Status.SKIPPED}, set(found.values()))

    def test_a_complete_file(self) -> None:
        found = self.statuses(
            "[DEFAULT]\ncompute_monitors = cpu.virt_driver\n"
            "[oslo_messaging_notifications]\ndriver = cachemig\n[filter_scheduler]\n"
            "weight_classes = nova.scheduler.weights.all_weighers,"
            "nova_cachemig.scheduler.weights.PredictedLoadWeigher\n"
            "available_filters = nova.scheduler.filters.all_filters\n"
            "available_filters = nova_cachemig.scheduler.filters.PredictedOverloadFilter\n"
            "enabled_filters = ComputeFilter,PredictedOverloadFilter\n"
        )
        self.assertEqual({Status.OK}, set(found.values()), found)

    def test_a_driver_that_an_override_took_away(self) -> None:
        ours = "[oslo_messaging_notifications]\ndriver = cachemig\n"
        for sign in (
            "[DEFAULT]\ninstance_usage_audit = true\n",
            "[notifications]\nnotify_on_state_change = vm_and_task_state\n",
            "[oslo_messaging_notifications]\ntopics = notifications\n",
        ):
            self.assertEqual(Status.WARNING, self.statuses(ours + sign)["driver"])
            both = self.statuses(ours + sign + "[oslo_messaging_notifications]\ndriver = log\n")
            self.assertEqual(Status.OK, both["driver"])

    def test_topics_are_compared_with_the_agents_file(self) -> None:
        text = "[cachemig]\ntopic = other\n"
        self.assertEqual(Status.FAILED, self.statuses(text)["topics"])
        self.assertNotIn("topics", self.statuses(text, agent=False))


if __name__ == "__main__":
    unittest.main()

import unittest
from unittest import mock

from nova_cachemig.doctor import registry, runner
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from tests.unit.doctor.files import Case


class RegistryTest(Case):
    def names(self, context: Context) -> set[str]:
        return {check.name.partition(".")[0] for check in registry.checks(context)}

    def test_each_subject_looks_at_its_configuration(self) -> None:
        self.assertEqual(set(), self.names(Context(None, None)))
        self.assertEqual(set(registry.IN_NOVA), self.names(Context(None, self.nova())))
        self.assertEqual(set(registry.ON_CACHE_NODE), self.names(Context(self.agent(), None)))

    def test_names_are_unique_and_conditions_come_first(self) -> None:
        checks = registry.checks(Context(self.agent(), self.nova()))
        seen: list[str] = []
        for check in checks:
            self.assertLessEqual(set(check.needs), set(seen), check.name)
            seen.append(check.name)
        self.assertEqual(len(seen), len(set(seen)))

    def test_a_missing_library_leaves_out_one_subject(self) -> None:
        with (
            mock.patch.object(registry, "ON_CACHE_NODE", ("engine",)),
            mock.patch.dict("sys.modules", {"nova_cachemig.doctor.engine": None}),
        ):
            [found] = runner.run(registry.checks(Context(self.agent(), None)))
        self.assertEqual(Status.SKIPPED, found.verdict.status)
        self.assertIn("nova-cachemig[agent]", found.verdict.what)


if __name__ == "__main__":
    unittest.main()

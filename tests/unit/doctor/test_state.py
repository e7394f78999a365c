import unittest

from nova_cachemig.agent.journal.lock import DirectoryLock
from nova_cachemig.doctor import state
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.verdict import Status
from tests.unit.doctor.files import Case


class StateTest(Case):
    def statuses(self, name: str) -> list[Status]:
        found = Context(self.agent("[journal]\nmin_free = 1k\n"), None)
        return [verdict.status for verdict in self.run_check(state, name, found)]

    def test_before_the_first_start(self) -> None:
        self.assertEqual([Status.WARNING], self.statuses("state.agent"))
        self.assertEqual([Status.WARNING], self.statuses("state.state_dir"))
        self.assertEqual([Status.SKIPPED], self.statuses("state.runtime_dir"))

    def test_while_an_agent_runs(self) -> None:
        lock = DirectoryLock(self.here / "state")
        lock.take()
        self.addCleanup(lock.release)
        self.assertEqual(Status.OK, self.statuses("state.agent")[0])
        self.assertEqual([Status.FAILED], self.statuses("state.runtime_dir"))  # it is missing
        (self.here / "run").mkdir(mode=0o700)
        self.assertEqual([Status.OK], self.statuses("state.runtime_dir"))
        rights, free, _ = self.statuses("state.state_dir")
        self.assertEqual((Status.OK, Status.OK), (rights, free))

    def test_the_facts_about_a_directory(self) -> None:
        self.here.chmod(0o750)
        found = state.look_at(self.here)
        self.assertEqual((str(self.here), 0o750), (found.path, found.mode))
        self.assertGreater(found.free, 0)


if __name__ == "__main__":
    unittest.main()

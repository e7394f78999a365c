import os
import unittest
from pathlib import Path

from nova_cachemig.agent.journal.lock import DirectoryLock
from nova_cachemig.doctor import process
from tests.unit.doctor.files import Case


class ProcessTest(Case):
    def test_the_holder_of_the_state_directory_is_found(self) -> None:
        self.assertIsNone(process.find(self.here))
        lock = DirectoryLock(self.here)
        lock.take()
        self.addCleanup(lock.release)
        found = process.find(self.here)
        assert found is not None
        self.assertEqual((os.getpid(), os.geteuid()), (found.pid, found.account))
        self.assertIn(f"CapEff:\t{found.capabilities:016x}", Path("/proc/self/status").read_text())
        lock.release()
        self.assertIsNone(process.find(self.here))


if __name__ == "__main__":
    unittest.main()

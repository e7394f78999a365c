import unittest

from nova_cachemig.doctor.verdict import Status
from nova_cachemig.doctor.verdicts import state
from nova_cachemig.doctor.verdicts.state import Directory

MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /var/lib/nova\\040cachemig rw shared:2 - nfs4 nas:/x rw
31 22 0:26 / /run rw,nosuid - tmpfs tmpfs rw
"""
LOCKS = """\
1: POSIX  ADVISORY  WRITE 99 08:01:77 0 EOF
2: FLOCK  ADVISORY  WRITE 42 08:01:1234 0 EOF
2: -> FLOCK  ADVISORY  WRITE 43 08:01:1234 0 EOF
"""
GIB = 1 << 30


def directory(mode: int = 0o700, owner: int = 5, free: int = GIB, kind: str = "ext4") -> Directory:
    return Directory("/s", mode, owner, free, kind)


class StateTest(unittest.TestCase):
    def statuses(self, found: Directory, account: int | None = 5) -> list[Status]:
        return [v.status for v in state.state_dir(found, account, 64 << 20)]

    def test_the_innermost_mount_counts(self) -> None:
        for path, kind in (
            ("/var/lib", "ext4"),
            ("/var/lib/nova cachemig/spool", "nfs4"),
            ("/run", "tmpfs"),
            ("/running", "ext4"),
        ):
            self.assertEqual(kind, state.file_system(MOUNTS, path))
        self.assertEqual("", state.file_system("", "/x"))

    def test_the_holder_of_a_lock(self) -> None:
        self.assertEqual(42, state.lock_holder(LOCKS, 1234))
        self.assertIsNone(state.lock_holder(LOCKS, 77))  # not by flock
        self.assertIsNone(state.lock_holder(LOCKS, 234))

    def test_all_is_well(self) -> None:
        self.assertEqual([Status.OK] * 3, self.statuses(directory()))
        self.assertEqual([Status.OK] * 3, self.statuses(directory(), account=None))
        self.assertEqual([Status.OK] * 3, self.statuses(directory(), account=0))

    def test_rights(self) -> None:
        self.assertEqual(Status.FAILED, self.statuses(directory(owner=6))[0])
        self.assertEqual(Status.WARNING, self.statuses(directory(mode=0o755))[0])

    def test_free_space(self) -> None:
        for free, status in ((1 << 20, Status.FAILED), (100 << 20, Status.WARNING)):
            self.assertEqual(status, self.statuses(directory(free=free))[1])

    def test_file_systems(self) -> None:
        for kind, status in (
            ("nfs4", Status.FAILED),
            ("tmpfs", Status.FAILED),
            ("overlay", Status.WARNING),
            ("", Status.OK),
        ):
            self.assertEqual(status, self.statuses(directory(kind=kind))[2])

    def test_the_runtime_directory(self) -> None:
        for found, status in (
            (directory(kind="tmpfs"), Status.OK),
            (directory(kind="nfs"), Status.FAILED),
            (directory(owner=6), Status.FAILED),
        ):
            self.assertEqual(status, state.runtime_dir(found, 5).status)

    def test_capabilities(self) -> None:
        self.assertEqual(Status.OK, state.capabilities(1 << 12 | 1 << 13).status)
        verdict = state.capabilities(1 << 12)
        self.assertEqual(Status.WARNING, verdict.status)
        self.assertIn("lacks CAP_NET_RAW:", verdict.what)


if __name__ == "__main__":
    unittest.main()

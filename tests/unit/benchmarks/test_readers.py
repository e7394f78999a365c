import io
import pathlib
import tarfile
import tempfile
import unittest

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.placementlib import readers

OPTIONS = readers.Options()


class ReadersTest(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def test_a_folder_of_folders_has_a_panel_each(self):
        self.write("day1/a", "1\n2\n3\n")
        self.write("day1/b", "4\n5\n")
        self.write("day2/a", "6\n")
        self.write(".hidden", "9\n")
        first, second = readers.read(self.root, OPTIONS)
        self.assertEqual(("day1", ("a", "b")), (first.name, first.machines))
        np.testing.assert_array_equal([[1, 2, 3], [4, 5, np.nan]], first.values)
        np.testing.assert_array_equal([[6]], second.values)

    def test_a_tar_is_read_as_the_folder_in_it(self):
        path = self.root / "trace.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for name in ("x/a", "x/b"):
                member = tarfile.TarInfo(name)
                member.size = 4
                archive.addfile(member, io.BytesIO(b"1\n2\n"))
        (panel,) = readers.read(path, OPTIONS)
        np.testing.assert_array_equal([[1, 2], [1, 2]], panel.values)
        self.assertEqual("trace", readers.trace_name(path))

    def test_match_chooses_files(self):
        self.write("cpu1", "1\n")
        self.write("disk1", "2\n")
        (panel,) = readers.read(self.root, readers.Options(match="cpu"))
        self.assertEqual(("cpu1",), panel.machines)

    def test_columns_headings_and_what_is_no_load(self):
        text = "time,load,x\n0;10 7\n1,\t20 8\n2,nan,9\n3,-1,9\n4\n"
        np.testing.assert_array_equal([10, 20, *[np.nan] * 3], readers.parse(text, 2))
        np.testing.assert_array_equal([7, 8, 9, 9, 4], readers.parse(text, None))

    def test_leading_gaps_are_kept(self):
        np.testing.assert_array_equal([np.nan] * 3 + [5], readers.parse("x\ny\n-\n5\n", None))

    def test_nothing_to_read_is_an_error(self):
        self.write("text", "words\n")
        self.assertRaises(readers.TraceError, readers.read, self.root, OPTIONS)
        self.assertRaises(readers.TraceError, readers.read, self.root / "text", OPTIONS)

    def test_parquet_with_and_without_capacities(self):
        at = pa.array([0, 300_000, 1_200_000, 0], pa.timestamp("ms", tz="UTC"))
        table = pa.table(
            {
                "id": ["a", "a", "a", "b"],
                "timestamp": at,
                "duration": [300_000, 300_000, 600_000, 300_000],
                "cpu_usage": [10.0, 20.0, 30.0, 5.0],
            }
        )
        path = self.root / "vms.parquet"
        pq.write_table(table, path)
        (panel,) = readers.read(path, OPTIONS)
        np.testing.assert_array_equal([10, 20, np.nan, 30, 30], panel.values[0])
        np.testing.assert_array_equal([5, *[np.nan] * 4], panel.values[1])
        meta = pa.table({"id": ["a"], "cpu_capacity": [200.0]})
        pq.write_table(meta, self.root / "vms_meta.parquet")
        (panel,) = readers.read(path, OPTIONS)
        np.testing.assert_array_equal([5, 10, np.nan, 15, 15], panel.values[0])

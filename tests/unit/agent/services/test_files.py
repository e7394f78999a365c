"""The services directory: validated as a whole, changed one file at a time."""

import os
import pathlib
import socket
import tempfile
import time
import unittest
from unittest import mock

from nova_cachemig.agent.services import files, schema
from tests.unit.agent.services.test_schema import entry


def service(**changes):
    return schema.parse({"services": [entry(**changes)]}, "test")[0][0]


class FilesTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.directory = pathlib.Path(folder.name)

    def write(self, text, name="a.yaml"):
        (self.directory / name).write_text(text)

    def errors(self):
        with self.assertRaises(files.ServicesError) as caught:
            files.read(self.directory)
        return caught.exception.errors

    def test_add_read_remove(self):
        files.add(self.directory, service())
        files.add(self.directory, service(name="b", listen="192.0.2.2:80"))
        self.assertEqual({"shop", "b"}, {s.name for s in files.read(self.directory)})
        files.remove(self.directory, "shop")
        self.assertEqual(["b"], [s.name for s in files.read(self.directory)])
        self.assertEqual(["b.yaml"], [p.name for p in self.directory.iterdir()])

    def test_an_unchanged_file_is_parsed_once(self):
        cache = files.Cache()
        files.add(self.directory, service())
        path = files.add(self.directory, service(name="b", listen="192.0.2.2:80"))
        for parsed in (2, 2):
            self.assertEqual(2, len(files.read(self.directory, cache)))
            self.assertEqual(parsed, cache.parsed)
        files.add(self.directory, service(name="c", listen="192.0.2.3:80"))
        self.assertEqual(3, len(files.read(self.directory, cache)))
        self.assertEqual(3, cache.parsed)
        status = path.stat()
        path.write_text(path.read_text().replace("192.0.2.2", "192.0.2.9"))  # of the same size
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        found = {s.name: s.listen[0] for s in files.read(self.directory, cache)}
        self.assertEqual(("192.0.2.9", 4), (found["b"], cache.parsed))
        files.remove(self.directory, "b")
        self.assertEqual({"shop", "c"}, {s.name for s in files.read(self.directory, cache)})
        self.assertEqual((4, {"shop.yaml", "c.yaml"}), (cache.parsed, set(cache.files())))

    def test_a_file_with_mistakes_is_parsed_again_and_counts_in_the_total(self):
        cache = files.Cache()
        files.add(self.directory, service())
        self.write("services: 3", "b.yaml")
        for _ in range(2):
            self.assertEqual(
                ["b.yaml"], [pathlib.Path(p).name for p in files.check(self.directory, cache)[1]]
            )
        self.assertEqual(3, cache.parsed)
        with mock.patch.object(files, "MAX_TOTAL", 100):
            _, mistakes = files.check(self.directory, cache)
        self.assertTrue(any("bytes together" in e[0] for e in mistakes.values()))

    def test_check_names_each_file_and_keeps_the_valid_ones(self):
        files.add(self.directory, service())
        self.write("services: 3", "b.yaml")
        found, mistakes = files.check(self.directory)
        self.assertEqual(["shop"], [s.name for s in found])
        self.assertEqual([str(self.directory / "b.yaml")], list(mistakes))

    def test_check_finds_conflicts_of_several_files(self):
        text = (files.add(self.directory, service())).read_text()
        self.write(text, "b.yaml")
        found, mistakes = files.check(self.directory)
        self.assertEqual(2, len(found))
        self.assertEqual([str(self.directory)], list(mistakes))

    def test_remove_keeps_the_others_of_the_file(self):
        files.add(self.directory, service())
        path = self.directory / "shop.yaml"
        text = path.read_text()
        path.write_text(
            text
            + text.removeprefix("services:\n")
            .replace("shop", "other")
            .replace("192.0.2.1", "192.0.2.7")
        )
        files.remove(self.directory, "shop")
        self.assertEqual(["other"], [s.name for s in files.read(self.directory)])

    def test_a_conflicting_service_is_not_written(self):
        files.add(self.directory, service())
        with self.assertRaises(files.ServicesError):
            files.add(self.directory, service(name="b"))
        self.assertEqual(["shop.yaml"], [p.name for p in self.directory.iterdir()])

    def test_beside_an_invalid_file_no_service_is_written(self):
        self.write("services: [")
        with self.assertRaises(files.ServicesError):
            files.add(self.directory, service())
        self.assertEqual(["a.yaml"], [p.name for p in self.directory.iterdir()])

    def test_not_yaml(self):
        for text in ("services: [", "\t- x", "services: !!python/object:os.system []", "\x00"):
            with self.subTest(text=text):
                self.write(text)
                self.assertIn("a.yaml: not YAML", self.errors()[0])

    def test_the_error_names_line_and_column(self):
        self.write("services:\n- {name: z\n")
        self.assertEqual(1, len(self.errors()))
        self.assertIn("a.yaml: not YAML: line 3, column 1: did not find expected", self.errors()[0])

    def test_aliases_are_refused(self):
        self.write("a: &a [x, x]\nb: &b [*a, *a]\nservices: [*b, *b]\n")
        self.assertIn("aliases are not allowed", self.errors()[0])

    def test_a_duplicate_key_is_refused(self):
        self.write("services: []\nservices: []\n")
        self.assertIn("'services' appears twice", self.errors()[0])

    def test_a_mistake_names_the_line(self):
        self.write("services:\n- name: a\n  port: 1\n  name: b\n")
        self.assertIn("line 4: key 'name' appears twice", self.errors()[0])

    def test_what_is_no_file_neither_blocks_nor_hides_the_others(self):
        files.add(self.directory, service())
        os.mkfifo(self.directory / "fifo.yaml")
        (self.directory / "device.yaml").symlink_to("/dev/zero")
        (self.directory / "folder.yaml").mkdir()
        (self.directory / "gone.yaml").symlink_to("/nowhere/at/all")
        (self.directory / "loop.yaml").symlink_to("loop.yaml")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.directory / "socket.yaml"))
        names = [name for name, *_ in files.fingerprint(self.directory)]
        self.assertEqual(
            {"gone.yaml", "loop.yaml"}, {p.name for p in self.directory.iterdir()} - {*names}
        )
        found, mistakes = files.check(self.directory)
        self.assertEqual(["shop"], [s.name for s in found])
        self.assertEqual(
            {
                "fifo.yaml is a FIFO, not a file",
                "device.yaml is a device, not a file",
                "folder.yaml is a directory, not a file",
                "socket.yaml is a socket, not a file",
                "gone.yaml cannot be read: No such file or directory",
                "loop.yaml cannot be read: Too many levels of symbolic links",
            },
            {error.removeprefix(f"{self.directory}/") for found in mistakes.values()
             for error in found},
        )  # fmt: skip

    def test_a_link_to_a_file(self):
        text = files.add(self.directory / "other", service()).read_text()
        (self.directory / "real").write_text(text)
        (self.directory / "a.yaml").symlink_to("real")
        self.assertEqual([service()], files.read(self.directory))

    def test_sizes_are_bounded(self):
        for name, value, expected in (
            ("MAX_BYTES", 10, "a.yaml: larger than 10 bytes"),
            ("MAX_TOTAL", 40, "b.yaml: the files have more than 40 bytes together"),
            ("MAX_FILES", 1, "2 files, more than 1"),
            ("MAX_VALUES", 3, "a.yaml: not YAML: more than 3 values"),
        ):
            self.write("services: [    ]\n# comment, comment\n")
            self.write("services: []\n", "b.yaml")
            with self.subTest(name), mock.patch.object(files, name, value):
                self.assertIn(expected, self.errors()[0])

    def test_many_keys(self):
        """The time is linear in their number, and the error has few of them."""
        names = [f"k{number}" for number in range(40_000)]
        self.write("services: [{" + ", ".join(f"{name}: 1" for name in names) + "}]")
        began = time.process_time()
        (error,) = [text for text in self.errors() if "unknown field" in text]
        self.assertLess(time.process_time() - began, 10.0)
        self.assertLess(len(error), 1000)
        self.write("services: [{" + ", ".join(f"{name}: 1" for name in [*names, "k7"]) + "}]")
        self.assertIn("key 'k7' appears twice", self.errors()[0])

    def test_keys_of_several_types(self):
        self.write("services: [{1: a, b: c, null: d, [e]: f}]")
        self.assertIn("not YAML", self.errors()[0])
        self.write("services: [{1: a, b: c, null: d}]")
        self.assertIn("unknown field 1, None, b", "".join(self.errors()))

    def test_deep_nesting(self):
        for text in ("[" * 100_000, "- " * 100_000, "{a: " * 100_000):
            with self.subTest(text[:3]):
                self.write(text)
                self.assertIn("not YAML", self.errors()[0])

    def test_not_utf8(self):
        (self.directory / "a.yaml").write_bytes(b"\xff\xfe\x00services")
        self.assertIn("not YAML", self.errors()[0])

    def test_the_mistakes_of_all_files_are_reported(self):
        self.write("services: [{name: A}]")
        self.write("x: 1", "b.yaml")
        errors = "\n".join(self.errors())
        self.assertIn("a.yaml", errors)
        self.assertIn("b.yaml", errors)

    def test_a_missing_directory_has_no_services_and_add_creates_it(self):
        missing = self.directory / "none"
        self.assertEqual([], files.read(missing))
        self.assertEqual((), files.fingerprint(missing))
        path = files.add(missing, service())
        # The agent's account reads what the operator wrote.
        self.assertEqual(
            (0o755, 0o644), (missing.stat().st_mode & 0o777, path.stat().st_mode & 0o777)
        )
        self.assertEqual([service()], files.read(missing))

    def test_a_directory_that_is_a_file(self):
        self.write("")
        with self.assertRaisesRegex(files.ServicesError, "cannot be read: Not a directory"):
            files.read(self.directory / "a.yaml")

    def test_an_empty_file_and_other_files_are_no_services(self):
        self.write("")
        self.write("not yaml: [", "README.txt")
        self.assertEqual([], files.read(self.directory))

    def test_the_fingerprint_changes_with_a_file(self):
        before = files.fingerprint(self.directory)
        self.write("services: []")
        self.assertNotEqual(before, files.fingerprint(self.directory))

"""The copy of the parsed services files, and who uses it."""

from __future__ import annotations

import dataclasses
import json
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from nova_cachemig.agent.services import files, schema, stored
from nova_cachemig.model.service import Service
from tests.unit.agent.services.test_schema import entry


def services(*entries: dict[str, object]) -> tuple[Service, ...]:
    found, errors = schema.parse({"services": list(entries)}, "test")
    assert not errors, errors
    return tuple(found)


FULL = services(
    entry(),
    entry(
        name="all",
        listen="[2001:db8::1]:443",
        hosts=["a.example", "b.example"],
        network="net",
        writes="accept",
        honours_keys=True,
        client_cookie="sid",
        forwarded_for=False,
        trusted_proxies=["10.0.0.0/8"],
        tls={"certificates": ["/etc/x.pem"], "min_version": "1.3", "http2": False},
        follow_links=False,
        limits={"connections": 7},
        accept_proxy=True,
        send_proxy="v2",
        policy={"presets": ["wordpress"], "consent": ["stale"], "rules": [{"never": True}]},
    ),
    entry(name="given", listen="192.0.2.3:80", address="198.51.100.7"),
    entry(name="floating", listen="192.0.2.4:80", floating=True, policy={"defaults": False}),
)


class StoredTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / stored.NAME
        self.files = {
            "a.yaml": stored.Parsed((1, 2, 3, 4), 2, FULL[:2]),
            "b.yaml": stored.Parsed((5, 6, 7, 8), 6, FULL[2:]),
            "empty.yaml": stored.Parsed((9, 9, 9, 9), 0, ()),
        }

    def test_every_field_is_restored(self) -> None:
        for field in dataclasses.fields(Service):
            if field.default is not dataclasses.MISSING:
                used = [getattr(one, field.name) != field.default for one in FULL]
                self.assertTrue(any(used), field.name)
        stored.save(self.path, self.files)
        self.assertEqual(self.files, stored.load(self.path))

    def test_without_a_copy_there_is_nothing(self) -> None:
        self.assertEqual({}, stored.load(self.path))

    def test_one_of_another_version_is_not_used(self) -> None:
        stored.save(self.path, self.files)
        with mock.patch.object(stored, "_FORM", "another"):
            self.assertEqual({}, stored.load(self.path))

    def test_a_damaged_one_is_not_used(self) -> None:
        stored.save(self.path, self.files)
        lines = self.path.read_text().splitlines(keepends=True)
        for damaged in (
            lines[:-2],  # cut
            [lines[0], "{", *lines[2:]],
            [lines[0], "3\n"],
            [lines[0], '["a", [1], 2, 1]\n', "[]\n"],
            [lines[0], '["a", [1], 2, 1]\n', '{"name": "a"}\n'],
            [lines[0], *(line.replace("wordpress", "unknown") for line in lines[1:])],
            [lines[0], "\udcff"],
        ):
            self.path.write_bytes("".join(damaged).encode("utf-8", "surrogateescape"))
            with self.assertLogs(stored.__name__, "WARNING"):
                self.assertEqual({}, stored.load(self.path), damaged)

    def test_one_that_is_too_large_is_not_read(self) -> None:
        stored.save(self.path, self.files)
        with (
            mock.patch.object(stored, "MAX_BYTES", 10),
            self.assertLogs(stored.__name__, "WARNING"),
        ):
            self.assertEqual({}, stored.load(self.path))

    def test_an_error_of_the_disk_is_only_logged(self) -> None:
        with self.assertLogs(stored.__name__, "WARNING"):
            stored.save(self.path / "no" / "directory", self.files)


class UseTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name) / "services.d"
        self.path = Path(directory.name) / stored.NAME
        self.directory.mkdir()
        self.write("many", 0, 300)
        cache = files.Cache(self.path)
        self.before = files.read(self.directory, cache)
        cache.save()

    def write(self, name: str, first: int, last: int) -> None:
        listed = [entry(name=f"s{n}", hosts=[f"s{n}.example"]) for n in range(first, last)]
        (self.directory / f"{name}.yaml").write_text(json.dumps({"services": listed}))

    def test_a_later_process_parses_only_what_has_changed(self) -> None:
        cache = files.Cache(self.path)
        self.assertEqual(self.before, files.read(self.directory, cache))
        self.assertEqual(0, cache.parsed)
        self.write("few", 300, 305)
        self.assertEqual(305, len(files.read(self.directory, cache)))
        self.assertEqual(1, cache.parsed)

    def test_few_changes_are_not_saved(self) -> None:
        before = self.path.stat().st_ino
        self.write("few", 300, 305)
        cache = files.Cache(self.path)
        files.read(self.directory, cache)
        cache.save()
        self.assertEqual(before, self.path.stat().st_ino)
        self.write("more", 305, 500)
        files.read(self.directory, cache)
        cache.save()
        self.assertEqual({"many.yaml", "few.yaml", "more.yaml"}, stored.load(self.path).keys())

    def test_a_new_service_is_checked_against_those_of_the_copy(self) -> None:
        (new,) = services(entry(name="new", hosts=["s7.example"]))
        cache = files.Cache(self.path)
        with self.assertRaisesRegex(files.ServicesError, "'s7.example'.* is taken by service 's7'"):
            files.add(self.directory, new, cache)
        self.assertEqual(0, cache.parsed)

    def test_the_copy_does_not_decide_what_is_written(self) -> None:
        text = self.path.read_text()
        self.path.write_text(text.replace('"s8.example"', '"evil.example"'))
        files.remove(self.directory, "s7", files.Cache(self.path))
        written = {service.name: service.hosts for service in files.read(self.directory)}
        self.assertEqual((299, ("s8.example",)), (len(written), written["s8"]))

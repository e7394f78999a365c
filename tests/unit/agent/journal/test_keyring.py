"""Keys from a file and from a key manager. Errors name the problem and never show a key.

Instead of Barbican, castellan's in-memory key manager serves the keys. Its package ships it for
tests; the interface and the configuration are the same.
"""

from __future__ import annotations

import base64
import builtins
import contextlib
import tempfile
import unittest
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

from castellan.common.objects.symmetric_key import SymmetricKey
from castellan.key_manager import key_manager_opts
from castellan.tests.unit.key_manager.mock_key_manager import MockKeyManager
from oslo_config import cfg
from oslo_context.context import RequestContext

from nova_cachemig.agent.journal import keyring
from nova_cachemig.agent.journal.cipher import DecryptionError
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.conf import journal as journal_conf

ONE, TWO = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2))


def conf_with(**journal: Any) -> cfg.ConfigOpts:
    conf = cfg.ConfigOpts()
    journal_conf.register(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    for name, value in journal.items():
        conf.set_override(name, value, "journal")
    return conf


class FileTest(unittest.TestCase):
    def setUp(self) -> None:
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = Path(directory.name) / "journal.keys"

    def write(self, text: str, mode: int = 0o600) -> None:
        self.path.write_text(text)
        self.path.chmod(mode)

    def load(self, encryption: str = "file", **journal: Any) -> Any:
        conf = conf_with(encryption=encryption, key_file=str(self.path), **journal)
        return keyring.load(conf)

    def test_the_last_one_encrypts_all_decrypt(self) -> None:
        self.write(f"one {ONE}\n")
        data = self.load().encrypt(b"text", b"")
        self.write(f"# rotated\n\none {ONE}\ntwo {TWO}\n", mode=0o640)
        cipher = self.load()
        self.assertEqual(("two", {"one", "two"}), (cipher.key_id, set(cipher.key_ids)))
        self.assertEqual(b"text", cipher.decrypt("one", data, b""))

    def test_keys_that_are_named_read_when_nothing_is_encrypted_any_more(self) -> None:
        self.write(f"one {ONE}\n")
        data = self.load().encrypt(b"text", b"")
        cipher = self.load(encryption="none")
        self.assertIsNone(cipher.key_id)
        self.assertEqual(b"text", cipher.decrypt("one", data, b""))
        self.assertIsNone(keyring.load(conf_with()).key_id)

    def test_what_is_wrong_is_named_and_no_key_is_shown(self) -> None:
        short = base64.b64encode(b"\7" * 31).decode()
        for text, mode, words in (
            ("", 0o600, "contains no key"),
            ("# none\n", 0o600, "contains no key"),
            (f"one {ONE}\n", 0o644, "mode 0644"),
            (f"one {ONE}\n", 0o604, "mode 0604"),
            (f"one {ONE}\n", 0o660, "mode 0660"),
            (f"{ONE}\n", 0o600, "line 1: a key name"),
            (f"one {ONE}\none {TWO}\n", 0o600, "line 2: duplicate key name 'one'"),
            (f"one {short}\n", 0o600, "line 1: key 'one' is not 32 bytes"),
            ("one not!base64\n", 0o600, "key 'one' is not 32 bytes"),
            (f"{'x' * 65} {ONE}\n", 0o600, "a key name"),
        ):
            with self.subTest(words):
                self.write(text, mode)
                with self.assertRaisesRegex(JournalError, words) as caught:
                    self.load()
                self.assertIn(str(self.path), str(caught.exception))
                for secret in (ONE, TWO, short, "not!base64"):
                    self.assertNotIn(secret, str(caught.exception))
        self.path.write_bytes(b"\xff\xfe")
        with self.assertRaisesRegex(JournalError, "is not text"):
            self.load()
        self.path.unlink()
        with self.assertRaisesRegex(JournalError, "No such file"):
            self.load()
        with self.assertRaisesRegex(JournalError, "key_file is not set"):
            keyring.load(conf_with(encryption="file"))

    def test_lost_keys_are_not_available(self) -> None:
        self.write(f"one {ONE}\ntwo {TWO}\n")
        data = self.load().encrypt(b"text", b"")
        self.assertEqual({"two"}, set(self.load(lost_keys=["one"]).key_ids))
        with self.assertRaisesRegex(JournalError, "lost_keys names 'two'"):
            self.load(lost_keys=["two"])
        with self.assertRaises(DecryptionError):
            self.load(encryption="none", lost_keys=["two"]).decrypt("two", data, b"")


class Manager(MockKeyManager):
    """castellan makes one for each configuration; all of these share their keys."""

    store_of_all: dict[str, Any] = {}

    def __init__(self, configuration: cfg.ConfigOpts | None = None) -> None:
        super().__init__(configuration)
        self.keys = self.store_of_all


class CastellanTest(unittest.TestCase):
    def setUp(self) -> None:
        fresh = mock.patch.object(Manager, "store_of_all", {})
        fresh.start()
        self.addCleanup(fresh.stop)
        self.keys = [self.store(bytes([number]) * 32) for number in (1, 2)]

    def store(self, key: bytes) -> str:
        made = SymmetricKey("AES", len(key) * 8, key)
        return str(Manager().store(RequestContext(), made))

    def load(self, names: list[str], encryption: str = "castellan") -> Any:
        conf = conf_with(encryption=encryption, key_ids=names)
        conf.register_opts(key_manager_opts, group="key_manager")
        conf.set_override("backend", f"{__name__}.Manager", "key_manager")
        return keyring.load(conf)

    def test_the_last_one_encrypts_all_decrypt(self) -> None:
        data = self.load(self.keys[:1]).encrypt(b"text", b"")
        for encryption, newest in (("castellan", self.keys[1]), ("none", None)):
            cipher = self.load(self.keys, encryption)
            self.assertEqual(newest, cipher.key_id)
            self.assertEqual(b"text", cipher.decrypt(self.keys[0], data, b""))

    def test_what_is_wrong_is_named(self) -> None:
        short = self.store(b"\7" * 16)
        with self.assertRaisesRegex(JournalError, "'absent'.*ManagedObjectNotFound"):
            self.load([self.keys[0], "absent"])
        with self.assertRaisesRegex(JournalError, f"'{short}' is not 32 bytes"):
            self.load([short])
        with self.assertRaisesRegex(JournalError, "key_ids is not set"):
            self.load([])

    def test_the_extra_is_asked_for_only_where_it_is_needed(self) -> None:
        with _without_castellan():
            self.assertIsNone(keyring.load(conf_with()).key_id)
            with self.assertRaisesRegex(JournalError, r"install nova-cachemig\[castellan\]"):
                self.load(self.keys)


@contextlib.contextmanager
def _without_castellan() -> Iterator[None]:
    real = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("castellan"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *args, **kwargs)

    with mock.patch.object(builtins, "__import__", refuse):
        yield

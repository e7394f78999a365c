"""Loads the encryption keys: from a file, or from a key manager (Barbican, Vault) by castellan."""

from __future__ import annotations

import base64
import binascii
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oslo_config import cfg

from nova_cachemig.agent.journal.cipher import KEY_LENGTH, Cipher
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.model.causes import cause_of

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EXTRA: Final = "nova-cachemig[castellan]"


def load(conf: cfg.ConfigOpts) -> Cipher:
    """Return a cipher with the keys that [journal] encryption needs.

    With ``none``, configured keys still decrypt what was encrypted earlier. Raises JournalError,
    which says what is wrong.
    """
    options = conf.journal
    keys: dict[str, bytes] = {}
    if options.encryption == "castellan" or (options.encryption == "none" and options.key_ids):
        keys = _from_castellan(conf, options.key_ids)
    elif options.encryption == "file" or options.key_file:
        keys = _from_file(options.key_file)
    newest = list(keys)[-1] if options.encryption != "none" else None
    if newest in options.lost_keys:
        raise JournalError(
            f"[journal] lost_keys names {newest!r}, the last key, which encrypts new writes. "
            "Append a new key"
        )
    kept = {name: key for name, key in keys.items() if name not in options.lost_keys}
    return Cipher(kept, newest)


def _from_file(path: str | None) -> dict[str, bytes]:
    if not path:
        raise JournalError("[journal] encryption is file, but key_file is not set")
    where = f"[journal] key_file {path}"
    try:
        with Path(path).open("rb") as file:
            mode = stat.S_IMODE(Path(path).stat().st_mode)
            if mode & 0o027:
                raise JournalError(
                    f"{where} has mode {mode:04o}: others can read it, or the group can write it. "
                    "Set mode 0640 or stricter"
                )
            text = file.read().decode("ascii")
    except OSError as exc:
        raise JournalError(f"cannot read {where}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise JournalError(f"{where} is not text: a line is a name and 32 bytes in base64") from exc
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        name, _, encoded = line.strip().partition(" ")
        try:
            key = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            key = b""
        _add(keys, name, key, f"{where}, line {number}")
    if not keys:
        raise JournalError(f"{where} contains no key")
    return keys


def _add(keys: dict[str, bytes], name: str, key: bytes, where: str) -> None:
    # The error never contains the text itself: it may be a key.
    if not _NAME.fullmatch(name):
        raise JournalError(f"{where}: a key name is 1 to 64 letters, digits, and '._-'")
    if len(key) != KEY_LENGTH:
        raise JournalError(f"{where}: key {name!r} is not {KEY_LENGTH} bytes in base64")
    if name in keys:
        raise JournalError(f"{where}: duplicate key name {name!r}")
    keys[name] = key


def _from_castellan(conf: cfg.ConfigOpts, names: Sequence[str]) -> dict[str, bytes]:
    if not names:
        raise JournalError("[journal] encryption is castellan, but key_ids is not set")
    try:
        from castellan import key_manager
        from castellan.common import utils
        from oslo_context import context
    except ImportError as exc:
        why = f"[journal] encryption is castellan: {exc}; install {_EXTRA}"
        raise JournalError(why) from exc
    keys: dict[str, bytes] = {}
    name = names[0]
    try:
        manager = key_manager.API(conf)
        conf.register_opts(utils.credential_opts, group="key_manager")
        # Vault's driver has its own credentials and only needs a context object.
        configured = conf.key_manager.auth_type is not None
        who = utils.credential_factory(conf) if configured else context.RequestContext()
        for name in names:
            found = manager.get(who, name).get_encoded()
            _add(keys, name, found or b"", "[journal] key_ids")
    except JournalError:
        raise
    except Exception as exc:  # each driver raises its client library's errors
        kind = type(exc).__name__
        why = f"cannot get key {name!r} of [journal] key_ids from the key manager"
        raise JournalError(f"{why} ({kind}): {cause_of(exc)}") from exc
    return keys

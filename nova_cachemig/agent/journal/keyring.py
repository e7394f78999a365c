"""Where the keys come from: a file, or a key manager (Barbican, Vault) through castellan."""

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

_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EXTRA: Final = "nova-cachemig[castellan]"


def load(conf: cfg.ConfigOpts) -> Cipher:
    """Return the keys that [journal] encryption asks for.

    With ``none``, keys that are named all the same decrypt what was encrypted before. Raises
    JournalError, which names what is wrong.
    """
    options = conf.journal
    keys: dict[str, bytes] = {}
    if options.encryption == "castellan" or (options.encryption == "none" and options.key_ids):
        keys = _from_castellan(conf, options.key_ids)
    elif options.encryption == "file" or options.key_file:
        keys = _from_file(options.key_file)
    newest = list(keys)[-1] if options.encryption != "none" else None
    if newest in options.lost_keys:
        raise JournalError(f"[journal] lost_keys names {newest!r}, which is to encrypt new writes")
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
                    f"{where} has mode {mode:04o}: others may read it, or the group may write it. "
                    "Make it 0640 or less"
                )
            text = file.read().decode("ascii")
    except OSError as exc:
        raise JournalError(f"{where} cannot be read: {exc.strerror}") from exc
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
        raise JournalError(f"{where} has no key")
    return keys


def _add(keys: dict[str, bytes], name: str, key: bytes, where: str) -> None:
    # never the text itself in the error: it may be a key
    if not _NAME.fullmatch(name):
        raise JournalError(f"{where}: a key's name is 1 to 64 letters, digits, dots, dashes")
    if len(key) != KEY_LENGTH:
        raise JournalError(f"{where}: key {name!r} is not {KEY_LENGTH} bytes in base64")
    if name in keys:
        raise JournalError(f"{where}: there is another key {name!r}")
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
        # Vault's driver has credentials of its own and only wants to see some context
        asked = conf.key_manager.auth_type is not None
        who = utils.credential_factory(conf) if asked else context.RequestContext()
        for name in names:
            found = manager.get(who, name).get_encoded()
            _add(keys, name, found or b"", "[journal] key_ids")
    except JournalError:
        raise
    except Exception as exc:  # drivers raise their clients' own errors
        kind = type(exc).__name__
        why = f"Key {name!r} of [journal] key_ids cannot be had from the key manager"
        raise JournalError(f"{why} ({kind}): {exc}") from exc
    return keys

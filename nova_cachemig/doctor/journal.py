"""The journal's database: revision of its tables, keys."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from nova_cachemig.agent.journal import inspection
from nova_cachemig.agent.journal.errors import JournalError
from nova_cachemig.doctor.context import Context
from nova_cachemig.doctor.runner import Check
from nova_cachemig.doctor.verdict import Verdict, failed, skipped
from nova_cachemig.doctor.verdicts import journal as verdicts


def checks(context: Context) -> Sequence[Check]:
    """Checks of the group [journal]."""
    conf = context.conf
    assert conf is not None, "a subject of the cache node"
    return [
        Check("journal.schema", lambda: [schema(conf)]),
        Check("journal.keys", lambda: [_keys(conf)], ("journal.schema",)),
    ]


def schema(conf: cfg.ConfigOpts) -> Verdict:
    """Compare the revision of the tables with this version's."""
    path = Path(conf.agent.state_dir) / "journal.sqlite"
    if not conf.journal.connection and not path.exists():
        return skipped(f"{path} does not exist: the agent creates it at its first start")
    try:
        found = inspection.schema(conf)
    except JournalError as exc:
        return failed(str(exc), "Check [journal] connection, and the rights of this account")
    return verdicts.schema(found.found, found.newest)


def _keys(conf: cfg.ConfigOpts) -> Verdict:
    try:
        found = inspection.keys(conf)
    except JournalError as exc:
        return failed(str(exc), "Correct [journal] encryption, key_file or key_ids")
    return verdicts.keys(found.available, found.missing, found.wrong, conf.journal.encryption)

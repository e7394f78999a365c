"""Verdicts on the journal's tables and keys."""

from __future__ import annotations

from collections.abc import Sequence

from nova_cachemig.doctor.verdict import Verdict, failed, ok, warning


def schema(found: str | None, newest: str) -> Verdict:
    """Revisions are names that sort in their order."""
    if found == newest:
        return ok(f"The journal's tables have the newest revision, {newest}")
    if found is None:
        return warning(
            "The journal's database has no tables yet", "The agent creates them at its start"
        )
    if found > newest:
        return failed(
            f"The journal's tables have revision {found}; this version only knows {newest}",
            "Install the version of nova-cachemig that wrote them, or a newer one",
        )
    return warning(
        f"The journal's tables have revision {found}; this version needs {newest}",
        "The agent upgrades them at its next start. An older agent does not start on them "
        "afterwards: back up the journal first",
    )


def keys(
    available: Sequence[str], missing: Sequence[str], wrong: Sequence[str], mode: str
) -> Verdict:
    """``mode``: [journal] encryption; ``missing`` and ``wrong`` have encrypted something."""
    if wrong:
        return failed(
            f"These keys are not the ones that encrypted the journal: {', '.join(wrong)}",
            "Restore the former keys; a new key needs a new name",
        )
    if missing:
        return failed(
            f"These keys of the journal are not configured: {', '.join(missing)}",
            "Restore them in [journal] key_file or key_ids. The agent does not start while the "
            "journal holds anything that they have encrypted",
        )
    if mode == "none":
        return ok("The journal is not encrypted ([journal] encryption = none)")
    return ok(f"The keys of the journal are available: {', '.join(available)}")

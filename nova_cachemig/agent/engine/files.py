"""Writes a file atomically: render, validate, swap; a refused text stays beside the file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError

Validate = Callable[[Path], Awaitable[tuple[int, str]]]
"""Checks a draft; returns the exit status and the output of the program that checked it."""


def _write_draft(path: Path, text: str) -> Path:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    return draft


def write(path: Path, text: str) -> None:
    """Replace a file atomically."""
    _write_draft(path, text).replace(path)


def has_content(path: Path, text: str) -> bool:
    """Return whether the file exists and contains exactly this text."""
    try:
        return path.read_text() == text
    except FileNotFoundError:
        return False


def _summarize_errors(output: str) -> str:
    """Return the lines that name an error, at most three; without any, the first three lines."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "ALERT" in line or "rror" in line or "Message from" in line]
    return " / ".join((errors or lines)[:3])


async def install(path: Path, text: str, validate: Validate) -> bool:
    """Replace the file with ``text`` if it is valid; return False if nothing changed.

    Raises ComponentError for an invalid text, which is kept as ``<name>.failed``.
    """
    if has_content(path, text):
        return False
    draft = _write_draft(path, text)
    status, output = await validate(draft)
    if status != 0:
        failed = path.with_name(path.name + ".failed")
        draft.replace(failed)
        raise ComponentError(f"{path.name} is not valid, see {failed}: {_summarize_errors(output)}")
    draft.replace(path)
    return True

"""Render, validate, swap, keep the failed file."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from nova_cachemig.agent.ports import ComponentError

Validate = Callable[[Path], Awaitable[tuple[int, str]]]


def _draft(path: Path, text: str) -> Path:
    draft = path.with_name(path.name + ".new")
    draft.write_text(text)
    return draft


def put(path: Path, text: str) -> None:
    """Write a file at once or not at all."""
    _draft(path, text).replace(path)


def holds(path: Path, text: str) -> bool:
    """Whether the file is just this text."""
    try:
        return path.read_text() == text
    except FileNotFoundError:
        return False


def _complaint(output: str) -> str:
    """What a program found wrong: its own summary is no news."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    wrong = [line for line in lines if "ALERT" in line or "rror" in line or "Message from" in line]
    return " / ".join((wrong or lines)[:3])


async def install(path: Path, text: str, validate: Validate) -> bool:
    """Make ``text`` the file if it is valid; False if it already was.

    Raises ComponentError; the refused text is then beside the file, with the suffix ``.failed``.
    """
    if holds(path, text):
        return False
    draft = _draft(path, text)
    status, output = await validate(draft)
    if status != 0:
        failed = path.with_name(path.name + ".failed")
        draft.replace(failed)
        raise ComponentError(f"{path.name} is not valid, see {failed}: {_complaint(output)}")
    draft.replace(path)
    return True

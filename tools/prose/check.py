"""Finds the files, reads each by its type, and applies the rules and their exceptions."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path

from tools.prose import markup, source
from tools.prose.references import References
from tools.prose.rules import Finding, Rules
from tools.prose.text import Block, Kind

GLOSSARY = Path("doc/source/contributor/glossary.rst")

_LEXERS = {
    ".sh": "bash",
    ".lua": "lua",
    ".c": "c",
    ".h": "c",
    ".cfg": "bash",
    ".toml": "bash",
    ".vcl": "vcl",
    ".ini": "bash",
}
_SHELLS = ("bash", "/sh")


def blocks(path: Path) -> Iterator[Block]:
    """Yield the prose of a file; nothing for a file of another kind."""
    suffix = path.with_suffix("").suffix if path.suffix == ".j2" else path.suffix
    text = path.read_text(errors="replace")
    first = text.partition("\n")[0]
    if suffix == ".rst":
        yield from markup.read_rst(text)
    elif suffix == ".md":
        yield from markup.read_markdown(text)
    elif suffix == ".yaml" and path.parent.name == "notes":
        yield from markup.read_yaml(text)
    elif suffix == ".py" or (first.startswith("#!") and "python" in first):
        yield Block(Kind.NAME, 1, path.name)
        yield from source.read_python(text)
    elif suffix in _LEXERS:
        yield from source.read_comments(text, _LEXERS[suffix])
    elif first.startswith("#!") and first.endswith(_SHELLS):
        yield from source.read_comments(text, "bash")


def tracked(root: Path, wanted: Iterable[str]) -> list[Path]:
    """Return the files of these paths (files, directories, glob patterns of git) that git knows.

    Raises subprocess.CalledProcessError outside of a repository.
    """
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    done = subprocess.run([*command, *wanted], cwd=root, check=True, capture_output=True, text=True)
    return [Path(name) for name in sorted(set(filter(None, done.stdout.split("\0"))))]


def acronyms_of(glossary: Path) -> frozenset[str]:
    """Return the terms of the glossary that are written in capitals."""
    if not glossary.exists():
        return frozenset()
    lines = glossary.read_text().splitlines()
    return frozenset(line.strip() for line in lines if line.strip().isupper())


def check(root: Path, rules: Rules, wanted: Iterable[str]) -> Iterator[Finding]:
    """Yield every violation without an exception, and every exception that excuses nothing."""
    used: set[int] = set()
    paths = [path for path in tracked(root, wanted) if (root / path).is_file()]
    for path in paths:
        for block in blocks(root / path):
            for finding in rules.check(str(path), block):
                if (number := _excuse(rules, finding)) is None:
                    yield finding
                else:
                    used.add(number)
    for number, exception in enumerate(rules.exceptions):
        if Path(exception["path"]) in paths and number not in used:
            use = "excuses nothing any longer; delete it"
            yield Finding("tools/prose/rules.yml", 1, "exception", exception["text"], use)


def check_references(root: Path, wanted: Iterable[str]) -> Iterator[Finding]:
    """Yield each reference of documentation and Python files to something that does not exist.

    Release notes are history and tests use examples: both may name other things.
    """
    references = References(root)
    for path in tracked(root, wanted):
        readable = path.suffix in {".rst", ".md", ".py"} and path.parts[0] != "tests"
        if readable and (root / path).is_file():
            yield from references.check(path)


def _excuse(rules: Rules, finding: Finding) -> int | None:
    for number, exception in enumerate(rules.exceptions):
        if exception["path"] == finding.path and exception["text"] in finding.text:
            return number
    return None

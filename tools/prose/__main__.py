"""Check documentation, docstrings, comments, help texts and commit subjects for plain English."""

from __future__ import annotations

import argparse
import collections
import sys
from pathlib import Path

from tools.prose import check, commits
from tools.prose.rules import Rules

ROOT = Path(__file__).resolve().parents[2]


def main(argv: list[str] | None = None) -> int:
    """Print each violation; return 1 if there is one."""
    parser = argparse.ArgumentParser(prog="python -m tools.prose", description=__doc__)
    parser.add_argument("paths", nargs="*", help="files or directories (default: everything)")
    parser.add_argument("--count", action="store_true", help="count the findings in each file")
    args = parser.parse_args(argv)

    rules = Rules.read(known=check.acronyms_of(ROOT / check.GLOSSARY))
    paths = args.paths or ["."]
    findings = list(check.check(ROOT, rules, paths))
    findings += check.check_references(ROOT, paths)
    if not args.paths:
        findings += commits.check_subjects(ROOT, rules)
    if args.count:
        for path, count in collections.Counter(f.path for f in findings).most_common():
            print(f"{count:5} {path}")
    else:
        print(*findings, sep="\n", end="\n" if findings else "")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())

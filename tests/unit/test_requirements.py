"""Each part of the package needs its own libraries only, and each requirement is needed."""

from __future__ import annotations

import configparser
import functools
import re
import sys
import unittest
from importlib import metadata
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]

PARTS = {
    # what → the extras with which it is installed
    "nova_cachemig.compute": frozenset[str](),
    "nova_cachemig.scheduler": frozenset({"scheduler"}),
    "nova_cachemig.agent": frozenset({"agent", "castellan"}),
    "nova_cachemig.cmd.agent": frozenset({"agent", "castellan"}),
    "nova_cachemig.forecaster": frozenset({"forecaster", "plot"}),
    "nova_cachemig.cmd.forecaster": frozenset({"forecaster", "plot"}),
    "nova_cachemig.telemetry": frozenset({"forecaster"}),
    "nova_cachemig.cmd.manage": frozenset({"agent", "castellan", "forecaster", "plot"}),
    "nova_cachemig.cmd.status": frozenset({"agent", "castellan"}),  # each check alone
    "nova_cachemig.doctor": frozenset({"agent", "castellan", "forecaster"}),
    "nova_cachemig.guest": frozenset[str](),
}

HOST = frozenset({"nova", "libvirt"})
"""Modules of Nova's process, in which the hook, the filter and the weighers run."""


def distribution(requirement: str) -> str:
    """The normalized name in a line of requirements."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def lines(text: str) -> set[str]:
    """The distributions in requirements, without comments."""
    found = (line.strip() for line in text.splitlines())
    return {distribution(line) for line in found if line and not line.startswith("#")}


@functools.cache
def base() -> frozenset[str]:
    """What every installation has."""
    return frozenset(lines((ROOT / "requirements.txt").read_text()))


@functools.cache
def extras() -> dict[str, set[str]]:
    """Extra → its distributions."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return {name: lines(text) for name, text in parser["extras"].items()}


@functools.cache
def graph() -> grimp.ImportGraph:
    """Imports of the package, also those within functions."""
    return grimp.build_graph("nova_cachemig", include_external_packages=True)


def imported_by(modules: set[str]) -> set[str]:
    """Distributions that these modules import directly; the modules of Nova's process are none."""
    found: set[str] = set()
    known = metadata.packages_distributions()
    for module in modules:
        for name in graph().find_modules_directly_imported_by(module):
            top = name.partition(".")[0]
            if top not in {"nova_cachemig", *HOST, *sys.stdlib_module_names}:
                found.add(distribution(known[top][0]))
    return found


def closure(part: str) -> set[str]:
    """The part's modules and all of ours that they import, however indirectly."""
    own = {part} | graph().find_descendants(part)
    ours = set(own)
    for module in own:
        ours |= graph().find_upstream_modules(module)
    return {module for module in ours if module.startswith("nova_cachemig")}


class RequirementsTest(unittest.TestCase):
    def test_each_part_imports_what_it_is_installed_with(self) -> None:
        for part, wanted in PARTS.items():
            with self.subTest(part):
                allowed = base().union(*(extras()[name] for name in wanted))
                self.assertEqual(set(), imported_by(closure(part)) - allowed)

    def test_each_requirement_is_imported(self) -> None:
        imported = imported_by(graph().find_descendants("nova_cachemig"))
        declared = base().union(*extras().values())
        self.assertEqual(set(), declared - imported)
        self.assertEqual(set(), imported - declared)

    def test_nova_compute_needs_nothing_but_oslo(self) -> None:
        self.assertEqual({"oslo-config", "oslo-log", "oslo-messaging", "oslo-upgradecheck"}, base())

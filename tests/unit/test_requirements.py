"""Each component imports only the libraries of its extras, and each requirement is imported."""

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

COMPONENTS = {
    # package → the extras with which it is installed
    "nova_cachemig.compute": frozenset[str](),
    "nova_cachemig.scheduler": frozenset({"scheduler"}),
    "nova_cachemig.agent": frozenset({"agent", "castellan"}),
    "nova_cachemig.cmd.agent": frozenset({"agent", "castellan"}),
    "nova_cachemig.api": frozenset({"api"}),
    "nova_cachemig.cmd.api": frozenset({"api"}),
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
    """Return the normalized name in a line of requirements."""
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name[0]).lower()


def lines(text: str) -> set[str]:
    """Return the distributions in requirements, without comments."""
    found = (line.strip() for line in text.splitlines())
    return {distribution(line) for line in found if line and not line.startswith("#")}


@functools.cache
def base() -> frozenset[str]:
    """Return the distributions in every installation."""
    return frozenset(lines((ROOT / "requirements.txt").read_text()))


@functools.cache
def extras() -> dict[str, set[str]]:
    """Return the distributions by extra."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return {name: lines(text) for name, text in parser["extras"].items()}


@functools.cache
def graph() -> grimp.ImportGraph:
    """Return the imports of the package, including those within functions."""
    return grimp.build_graph("nova_cachemig", include_external_packages=True)


def imported_by(modules: set[str]) -> set[str]:
    """Return the distributions that these modules import directly, except those in HOST."""
    found: set[str] = set()
    known = metadata.packages_distributions()
    for module in modules:
        for name in graph().find_modules_directly_imported_by(module):
            top = name.partition(".")[0]
            if top not in {"nova_cachemig", *HOST, *sys.stdlib_module_names}:
                found.add(distribution(known[top][0]))
    return found


def closure(package: str) -> set[str]:
    """Return its modules and all modules of nova_cachemig that they import, however indirectly."""
    own = {package} | graph().find_descendants(package)
    reached = set(own)
    for module in own:
        reached |= graph().find_upstream_modules(module)
    return {module for module in reached if module.startswith("nova_cachemig")}


class RequirementsTest(unittest.TestCase):
    def test_each_component_imports_only_its_extras(self) -> None:
        for package, wanted in COMPONENTS.items():
            with self.subTest(package):
                allowed = base().union(*(extras()[name] for name in wanted))
                self.assertEqual(set(), imported_by(closure(package)) - allowed)

    def test_each_requirement_is_imported(self) -> None:
        imported = imported_by(graph().find_descendants("nova_cachemig"))
        declared = base().union(*extras().values())
        self.assertEqual(set(), declared - imported)
        self.assertEqual(set(), imported - declared)

    def test_nova_compute_needs_nothing_that_nova_does_not_need(self) -> None:
        oslo = {"oslo-config", "oslo-log", "oslo-messaging", "oslo-upgradecheck"}
        self.assertEqual(oslo | {"pyroute2"}, base())
        self.assertIn("pyroute2", lines("\n".join(metadata.requires("os-vif") or ())))

"""A configuration for tests, without files."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

from nova_cachemig.forecaster import service


def conf(
    *,
    forecaster: dict[str, Any] | None = None,
    gnocchi: dict[str, Any] | None = None,
    **telemetry: Any,
) -> cfg.ConfigOpts:
    """Options of [telemetry] by name, those of [forecaster] and [gnocchi] apart."""
    made = cfg.ConfigOpts()
    service.register(made)
    made([], default_config_files=[], default_config_dirs=[])
    for name, value in telemetry.items():
        made.set_override(name, value, group="telemetry")
    for group, options in (("forecaster", forecaster), ("gnocchi", gnocchi)):
        for name, value in (options or {}).items():
            made.set_override(name, value, group=group)
    return made

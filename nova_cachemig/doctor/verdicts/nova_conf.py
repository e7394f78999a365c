"""Verdicts on the lines of nova.conf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from nova_cachemig.doctor.verdict import Status, Verdict, failed, ok, skipped, warning

_DRIVER: Final = "cachemig"
_OURS: Final = "nova_cachemig.scheduler."
_FILTER: Final = "PredictedOverloadFilter"
_MONITOR: Final = "cpu.virt_driver"
_OVERRIDES: Final = (
    "Overrides of Kolla-Ansible and OpenStack-Ansible replace the key: repeat the other drivers "
    "there, for instance messagingv2 for Ceilometer"
)


def driver(drivers: Sequence[str], readers: Sequence[str]) -> Verdict:
    """``drivers``: the values of [oslo_messaging_notifications] driver.

    ``readers``: options that are set as they are where another service reads notifications.
    """
    shown = ", ".join(drivers) or "not set"
    if _DRIVER not in drivers:
        return failed(
            f"[oslo_messaging_notifications] driver is {shown}: nova-compute does not load "
            "nova-cachemig and reports no migration",
            f"Add a separate line 'driver = {_DRIVER}' and restart nova-compute. {_OVERRIDES}",
        )
    alone = len(set(drivers)) == 1
    if alone and readers:
        return warning(
            f"[oslo_messaging_notifications] driver is {_DRIVER} only, but {' and '.join(readers)} "
            "suggests that another service reads Nova's notifications: it receives none",
            f"Add the driver of that service, usually messagingv2 for Ceilometer. {_OVERRIDES}",
        )
    if alone:
        return Verdict(
            Status.OK,
            f"[oslo_messaging_notifications] driver is {_DRIVER} only",
            f"Nothing, unless another service reads Nova's notifications. {_OVERRIDES}",
        )
    return ok(f"[oslo_messaging_notifications] driver has {shown}")


def monitors(found: Sequence[str], *, report_load: bool) -> Verdict:
    """``found``: [DEFAULT] compute_monitors."""
    if _MONITOR in found and report_load:
        return ok("nova-compute reports the load of its host")
    missing = "report_load is false" if _MONITOR in found else f"compute_monitors lacks {_MONITOR}"
    return skipped(f"{missing}: only placement by predicted load needs it, from the source nova")


def weighers(classes: Sequence[str], multipliers: Mapping[str, float]) -> Verdict:
    """``classes``: [filter_scheduler] weight_classes; ``multipliers`` by name of the option."""
    ours = [name for name in classes if name.startswith(_OURS)]
    if not ours:
        return skipped(
            "[filter_scheduler] weight_classes has no weigher of nova-cachemig: placement by "
            "predicted load is off in this file"
        )
    shown = ", ".join(name.rpartition(".")[2] for name in ours)
    if len(ours) == len(classes):
        return warning(
            f"[filter_scheduler] weight_classes has only {shown}: Nova's own weighers are off",
            "Add nova.scheduler.weights.all_weighers to weight_classes",
        )
    if not any(multipliers.values()):
        return warning(
            f"The multipliers of {shown} are 0: they have no effect",
            f"Set {' or '.join(multipliers)} in [cachemig_scheduler]",
        )
    return ok(f"[filter_scheduler] weight_classes has {shown}")


def filters(enabled: Sequence[str], available: Sequence[str]) -> Verdict:
    """[filter_scheduler] enabled_filters and available_filters."""
    if _FILTER not in enabled:
        return skipped(f"{_FILTER} is optional, and not in enabled_filters")
    if not any(name.startswith(_OURS) for name in available):
        return failed(
            f"{_FILTER} is enabled but not available: nova-scheduler does not start",
            "Add to [filter_scheduler] a separate line: available_filters = "
            f"nova_cachemig.scheduler.filters.{_FILTER}, and keep "
            "available_filters = nova.scheduler.filters.all_filters",
        )
    return ok(f"{_FILTER} is enabled")


def topics(pairs: Mapping[str, tuple[str, str]]) -> list[Verdict]:
    """``pairs``: the two options that must agree → their values."""
    bad = [
        failed(f"{names} differ: {ours!r} and {theirs!r}", "Set both to the same topic")
        for names, (ours, theirs) in pairs.items()
        if ours != theirs
    ]
    return bad or [ok("The topics in nova.conf are those of the agent and the forecaster")]

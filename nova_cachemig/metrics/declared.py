"""Every metric of the agent and the forecaster: its name, its kind, its labels.

No label has the name of a service, a guest or a client: their number has no bound. Each label has
the few values that its help text lists.
"""

from __future__ import annotations

import dataclasses
import enum
from typing import Final


class Kind(enum.StrEnum):
    """A type of Prometheus."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclasses.dataclass(frozen=True, slots=True)
class Metric:
    """One metric. ``name`` is the exposed one: that of a counter ends with ``_total``."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


RESPONDS: Final = "nova_cachemig_agent_responds"

_COUNTER, _GAUGE, _HISTOGRAM = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM

BUILD: Final = Metric(
    "nova_cachemig_build_info",
    _GAUGE,
    "Always 1. component is agent or forecaster.",
    ("component", "version", "python"),
)

BUS: Final = Metric(
    "nova_cachemig_bus_listening",
    _GAUGE,
    "Whether the daemon listens on the message bus. If not, the agent learns of no migration.",
)

AGENT: Final = (
    BUILD,
    BUS,
    Metric(
        RESPONDS,
        _GAUGE,
        "Whether the agent's event loop responded to this scrape. If it is 0, all other metrics "
        "are missing.",
    ),
    Metric(
        "nova_cachemig_loop_lag_seconds",
        _HISTOGRAM,
        "How late the event loop ran a task that was due. Measured twice a second.",
    ),
    Metric(
        "nova_cachemig_services",
        _GAUGE,
        "Services in force. state is reachable or unreachable: the agent has tried the guest and "
        "never reached it.",
        ("state",),
    ),
    Metric(
        "nova_cachemig_service_file_errors",
        _GAUGE,
        "Errors in the service files now. Until they are corrected, the active services stay.",
    ),
    Metric(
        "nova_cachemig_handovers",
        _GAUGE,
        "Handovers in progress. phase is a phase of the handover.",
        ("phase",),
    ),
    Metric(
        "nova_cachemig_handovers_ended_total",
        _COUNTER,
        "Handovers that have ended. outcome is completed, rolled_back, abandoned or unknown.",
        ("outcome",),
    ),
    Metric(
        "nova_cachemig_fail_opens_total",
        _COUNTER,
        "Times that users went to a guest without protection. The cause is unreached if the agent "
        "had never reached the guest, and journal if it could not be opened. It is agent_away if "
        "the edge opened a service because the agent did not respond in a handover.",
        ("cause",),
    ),
    Metric(
        "nova_cachemig_reads_total",
        _COUNTER,
        "Reads in a handover that asked the cache. result is hit or miss.",
        ("result",),
    ),
    Metric(
        "nova_cachemig_held_requests_total",
        _COUNTER,
        "Requests in a handover that the edge has held.",
    ),
    Metric(
        "nova_cachemig_held_seconds",
        _HISTOGRAM,
        "Seconds from a held request to the head of its response.",
    ),
    Metric(
        "nova_cachemig_refused_requests_total",
        _COUNTER,
        "Requests in a handover to which the edge itself responded with a 5xx status. cause is "
        "guest (it did not respond), hold (held too long), cache or other.",
        ("cause",),
    ),
    Metric(
        "nova_cachemig_journal_writes",
        _GAUGE,
        "Writes of open services in the journal. state is waiting or in_flight.",
        ("state",),
    ),
    Metric(
        "nova_cachemig_journal_waiting_bytes",
        _GAUGE,
        "Bytes in the bodies of the waiting writes.",
    ),
    Metric(
        "nova_cachemig_writes_total",
        _COUNTER,
        "Writes at the journal. outcome is accepted, then responded or in_doubt. A refused one was "
        "not accepted. Of an unknown one, the database did not say whether it was.",
        ("outcome",),
    ),
    Metric(
        "nova_cachemig_write_wait_seconds",
        _HISTOGRAM,
        "Seconds from a write's acceptance to the guest's response.",
    ),
    Metric(
        "nova_cachemig_journal_commits_total",
        _COUNTER,
        "Transactions of the journal. Each one commits all writes that have gathered.",
    ),
    Metric(
        "nova_cachemig_journal_commit_seconds_total",
        _COUNTER,
        "Seconds that the disk, or the database server, took for them.",
    ),
    Metric(
        "nova_cachemig_engine_reloads_total",
        _COUNTER,
        "Reloads of HAProxy. result is done or failed.",
        ("result",),
    ),
    Metric(
        "nova_cachemig_engine_restarts_total",
        _COUNTER,
        "Times that an engine ended and the agent started it again. engine is haproxy or varnishd.",
        ("engine",),
    ),
    Metric(
        "nova_cachemig_bus_faults_total",
        _COUNTER,
        "Faults of the RPC server. The log names their causes.",
    ),
)

FORECASTER: Final = (
    BUILD,
    BUS,
    Metric(
        "nova_cachemig_forecast_hosts",
        _GAUGE,
        "Hosts. state is forecast (in the newest forecast) or silent (known, without a recent "
        "sample).",
        ("state",),
    ),
    Metric(
        "nova_cachemig_newest_sample_age_seconds",
        _GAUGE,
        "Age of the newest sample of any host. Missing before the first one.",
    ),
    Metric(
        "nova_cachemig_forecast_age_seconds",
        _GAUGE,
        "Age of the newest forecast. Missing before the first one.",
    ),
    Metric(
        "nova_cachemig_forecast_round_seconds",
        _GAUGE,
        "Seconds that the newest forecast took.",
    ),
    Metric(
        "nova_cachemig_forecast_error",
        _GAUGE,
        "Mean absolute error of the newest forecast whose horizon is over, in the unit of the "
        "metric. Missing before. of is forecast or last_value: the error if the loads had stayed.",
        ("of",),
    ),
    Metric(
        "nova_cachemig_forecast_covered_ratio",
        _GAUGE,
        "Part of the hosts whose mean load was between the outer quantiles of that forecast. "
        "0.94 is expected.",
    ),
    Metric(
        "nova_cachemig_samples_total",
        _COUNTER,
        "Samples. result is taken, or the reason for which they were rejected.",
        ("result",),
    ),
    Metric(
        "nova_cachemig_source_problems",
        _GAUGE,
        "Reasons why samples are missing now. forecast show prints them.",
    ),
    Metric(
        "nova_cachemig_snapshots_total",
        _COUNTER,
        "Snapshots for the schedulers. result is sent, or dropped in favour of a newer one.",
        ("result",),
    ),
)

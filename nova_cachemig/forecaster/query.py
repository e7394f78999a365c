"""Queries of ``nova-cachemig-manage`` to the forecaster, and their results as tables and plots.

Each query takes the configuration and returns plain data. Tables are (columns, rows), as cliff
expects them. A query raises QueryError, or cfg.Error without a message bus. The text of both is one
sentence for the operator.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from nova_cachemig.forecaster.plot import draw
from nova_cachemig.rpc import bus
from nova_cachemig.rpc.client import BusError, RefusedError, UnreachableError
from nova_cachemig.rpc.forecaster import ForecasterClient

Wire = dict[str, Any]
Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


_REJECTED: Final = {
    "absurd": "absurdly large",
    "duplicate": "repeated",
    "full": "more hosts, instances or metrics than the limits allow",
    "future": "from the future",
    "late": "older than the history",
    "malformed": "malformed",
    "negative": "negative",
    "not_finite": "infinite or not a number",
    "unknown_host": "of an unknown host",
}


class QueryError(Exception):
    """The forecaster does not respond, or does not know the response."""


def show(conf: cfg.ConfigOpts) -> Wire:
    """Return the forecasts of all hosts and the state of telemetry."""
    return _call(conf, lambda client: client.show())


def explain(conf: cfg.ConfigOpts, host: str) -> Wire:
    """Return one host's forecast with history, quantiles and reasons."""
    return _call(conf, lambda client: client.explain(host))


def rank(
    conf: cfg.ConfigOpts, instance: str, vcpus: int | None = None, plot: Path | None = None
) -> Wire:
    """Return the hosts ranked for an instance. ``plot``: file for a plot (png, svg or pdf)."""
    response = _call(conf, lambda client: client.rank(instance, vcpus))
    if plot is not None:
        try:
            draw(response, plot)
        except (OSError, ValueError, ImportError) as exc:
            raise QueryError(f"the plot cannot be drawn: {exc}") from exc
    return response


def show_table(response: Wire) -> Table:
    """Return the hosts; silent hosts have no figures."""
    rows: list[tuple[Any, ...]] = [
        (row["host"], row["now"], row["mean"], row["low"], row["high"], row["overload"], "")
        for row in response["hosts"]
    ]
    rows += [
        (host, None, None, None, None, None, f"silent for {age:.0f} s")
        for host, age in response["silent"].items()
    ]
    return ("host", "now", "mean", "10 %", "90 %", "P(overload)", "note"), rows


def show_notes(response: Wire) -> list[str]:
    """Return why samples are missing, and how many were rejected: a sentence for each reason."""
    notes = [f"problem: {problem}" for problem in response.get("problems", ())]
    counts = {reason: n for reason, n in response.get("samples", {}).items() if reason != "taken"}
    if corrected := counts.pop("skewed", 0):
        notes.append(f"samples with a corrected time: {corrected}")
    for reason, count in sorted(counts.items()):
        notes.append(f"samples rejected: {count} ({_REJECTED.get(reason, reason)})")
    return notes


def explain_table(response: Wire) -> Table:
    """Return fields and values, without the history."""
    rows: list[tuple[Any, ...]] = [(key, response[key]) for key in ("host", "metric", "method")]
    rows += [("now", response["now"]), ("mean", response["mean"])]
    rows += [(f"{100 * level:g} % quantile", value) for level, value in response["quantiles"]]
    rows += [
        (f"{100 * level:g} % quantile of the peak", value) for level, value in response["peak"]
    ]
    rows += [(f"weight of {name}", weight) for name, weight in response["weights"].items()]
    rows += [("why", reason) for reason in response["reasons"]]
    return ("field", "value"), rows


def rank_table(response: Wire) -> Table:
    """Return the hosts in rank order. The source is no candidate: it is last, without a rank."""
    rows: list[tuple[Any, ...]] = []
    for number, row in enumerate(response["hosts"], 1):
        rows.append(
            (
                None if row["source"] else number,
                row["host"],
                row["now"],
                row["mean"],
                row["added"],
                row["total"],
                row["overload"],
                "source" if row["source"] else "",
            )
        )
    return ("rank", "host", "now", "mean", "added", "total", "P(overload)", "note"), rows


def _call(conf: cfg.ConfigOpts, question: Callable[[ForecasterClient], Wire]) -> Wire:
    options = conf.forecaster
    bus.require_url(conf, options.transport_url)
    client = ForecasterClient(conf, options.topic, options.transport_url, options.rpc_timeout)
    try:
        return question(client)
    except RefusedError as exc:
        raise QueryError(str(exc)) from exc
    except BusError as exc:
        why = bus.why_unreachable(conf, options.transport_url)
        text = f"the message bus cannot be reached ({why}). Check transport_url and RabbitMQ"
        raise QueryError(text) from exc
    except UnreachableError as exc:
        text = (
            f"no forecaster responds on topic {options.topic} ({exc}). Check that "
            "nova-cachemig-forecaster runs, with the same transport_url and [forecaster] topic"
        )
        raise QueryError(text) from exc

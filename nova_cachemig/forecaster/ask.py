"""Asking the forecaster, for ``nova-cachemig-manage``: data, tables of it, a picture of it.

Each function takes the configuration and returns plain data; the tables are (columns, rows) as
cliff takes them. AskError holds one sentence for a person.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import oslo_messaging
from oslo_config import cfg

from nova_cachemig.forecaster import picture
from nova_cachemig.rpc.calls import OverdueError
from nova_cachemig.rpc.forecast import ForecasterClient

Wire = dict[str, Any]
Table = tuple[tuple[str, ...], list[tuple[Any, ...]]]


class AskError(Exception):
    """The forecaster cannot be asked, or does not know."""


def show(conf: cfg.ConfigOpts) -> Wire:
    """All hosts' forecasts and the state of telemetry."""
    return _ask(conf, lambda client: client.show())


def explain(conf: cfg.ConfigOpts, host: str) -> Wire:
    """One host's forecast, with history, quantiles and reasons."""
    return _ask(conf, lambda client: client.explain(host))


def rank(
    conf: cfg.ConfigOpts, instance: str, vcpus: int | None = None, plot: Path | None = None
) -> Wire:
    """What would be chosen now for an instance; ``plot``: a file for the picture, by its suffix."""
    answer = _ask(conf, lambda client: client.rank(instance, vcpus))
    if plot is not None:
        try:
            picture.draw(answer, plot)
        except (OSError, ValueError, ImportError) as exc:
            raise AskError(f"the picture cannot be drawn: {exc}") from exc
    return answer


def show_table(answer: Wire) -> Table:
    """The hosts; those that are silent have no figures."""
    rows: list[tuple[Any, ...]] = [
        (row["host"], row["now"], row["mean"], row["low"], row["high"], row["overload"], "")
        for row in answer["hosts"]
    ]
    rows += [
        (host, None, None, None, None, None, f"silent for {age:.0f} s")
        for host, age in answer["silent"].items()
    ]
    return ("host", "now", "mean", "10 %", "90 %", "P(overload)", "note"), rows


def explain_table(answer: Wire) -> Table:
    """Field and value; the history is left to JSON."""
    rows: list[tuple[Any, ...]] = [(key, answer[key]) for key in ("host", "metric", "method")]
    rows += [("now", answer["now"]), ("mean", answer["mean"])]
    rows += [(f"{100 * level:g} % quantile", value) for level, value in answer["quantiles"]]
    rows += [(f"{100 * level:g} % quantile of the peak", value) for level, value in answer["peak"]]
    rows += [(f"weight of {name}", weight) for name, weight in answer["weights"].items()]
    rows += [("why", reason) for reason in answer["reasons"]]
    return ("field", "value"), rows


def rank_table(answer: Wire) -> Table:
    """The hosts in the order of choice; the source, which is no candidate, last and unnumbered."""
    rows: list[tuple[Any, ...]] = []
    for number, row in enumerate(answer["hosts"], 1):
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


def _ask(conf: cfg.ConfigOpts, question: Callable[[ForecasterClient], Wire]) -> Wire:
    options = conf.forecaster
    client = ForecasterClient(conf, options.topic, options.transport_url, options.rpc_timeout)
    try:
        return question(client)
    except ValueError as exc:
        raise AskError(_sentence(exc)) from exc
    except oslo_messaging.RemoteError as exc:
        raise AskError(_sentence(exc.value or exc.exc_type)) from exc
    except (oslo_messaging.MessagingException, OverdueError, OSError) as exc:
        raise AskError(f"the forecaster does not answer on topic {options.topic}: {exc}") from exc


def _sentence(said: object) -> str:
    """The first line: behind it oslo.messaging has put the forecaster's traceback."""
    return str(said).partition("\n")[0]

"""The page with the figures, and each request of the silences on a timeline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from tests.sites.judge import BARS, FAULTS, PROMPT, faults, is_failed, is_prompt
from tests.sites.record import Exchange, Silence

WORDS = {
    "without": "without nova-cachemig",
    "safe": "with it, and the preset's safe part",
    "consent": "with it, and the owner's consent",
}
KINDS = {
    "prompt": "answered within 100 ms",
    "slow": "waited",
    "write": "a form or another write",
    "failed": "failed",
}
_WIDTH, _HEIGHT = 520, 150
_BEFORE, _AFTER = 3.0, 4.0  # seconds around the silence
_LINES = ((0.01, "10 ms"), (PROMPT, "100 ms"), (1.0, "1 s"), (10.0, "10 s"))
_LEAST, _MOST = 0.001, 16.0  # seconds, of the axis


@dataclass(frozen=True)
class Dot:
    """A request: when it was sent, and how long the user waited."""

    x: float
    y: float
    kind: str
    title: str


@dataclass(frozen=True)
class Chart:
    """One silence of one mode."""

    dots: Sequence[Dot]
    left: float
    right: float
    seconds: float


def write_report(rows: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """Write the page into ``folder``; return its path. The rows have their logs."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    controls = {row["app"]: row for row in rows if row["mode"] == "without"}
    sites: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        wrong = faults(dict(row), controls.get(row["app"]))
        more = {"charts": charts(row["log"]), "wrong": wrong, "words": WORDS[row["mode"]]}
        sites.setdefault(row["title"], []).append({**row, **more})
    text = environment.get_template("page.html.j2").render(
        sites=sites, kinds=KINDS, bars=BARS, faults=FAULTS, width=_WIDTH, height=_HEIGHT,
        lines=[(_y(wait), label) for wait, label in _LINES],
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "sites.html"
    path.write_text(text)
    return path


def charts(log: Mapping[str, Any]) -> list[Chart]:
    """Return a chart of each silence of a log."""
    exchanges = [Exchange(**one) for one in log["exchanges"]]
    return [_chart(exchanges, Silence(**one)) for one in log["silences"]]


def _chart(exchanges: Sequence[Exchange], silence: Silence) -> Chart:
    begin = silence.start - _BEFORE
    scale = _WIDTH / (silence.seconds + _BEFORE + _AFTER)
    dots = [
        Dot(round((one.start - begin) * scale, 1), _y(one.took), _kind(one),
            f"{one.method} {one.url}: {one.error or one.status}, {one.took:.3f} s")
        for one in exchanges
        if begin <= one.start < silence.end + _AFTER and not one.abandoned and not one.expected
    ]  # fmt: skip
    return Chart(dots, round(_BEFORE * scale, 1), round((silence.end - begin) * scale, 1),
                 round(silence.seconds, 1))  # fmt: skip


def _kind(one: Exchange) -> str:
    if is_failed(one):
        return "failed"
    if one.kind == "write":
        return "write"
    return "prompt" if is_prompt(one) else "slow"


def _y(seconds: float) -> float:
    """Return the height of a wait, on a logarithmic axis."""
    inside = min(max(seconds, _LEAST), _MOST)
    return round(_HEIGHT * (1 - math.log(inside / _LEAST) / math.log(_MOST / _LEAST)), 1)

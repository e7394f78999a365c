"""One run as an SVG: each request is a dot, the blackout is shaded, the phases are above.

All dots of one kind form one path of zero-length strokes with round caps. Dots on the same half
pixel are drawn once. So 15,000 requests need 100 kB and no script.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from nova_cachemig.model.phase import Phase
from tools.measurement.analysis.blackout import Blackout
from tools.measurement.analysis.depth import Steps, sampled
from tools.measurement.analysis.outcome import Request, Run
from tools.measurement.analysis.scale import Frame, clock, latency_ticks, seconds_ticks

# In drawing order: the most important kind is drawn last, on top of the others.
KINDS: Final = {
    "read": "read, from the guest",
    "hit": "read, from the cache",
    "held": "read that met the blackout",
    "write": "write",
    "failed": "failed",
}
_AGENT: Final = frozenset(phase.value for phase in Phase)
_CHARACTER: Final = 6.2  # pixels, of the labels' font
_CLOCK: Final = 20  # pixels at the bottom, for the ticks of time
_GAP: Final = 10  # pixels between the latencies and the depth


@dataclasses.dataclass(frozen=True, slots=True)
class View:
    """The part of a run to draw, relative to its pause, and the size of the picture."""

    start: float
    end: float
    slowest: float
    width: int
    height: int
    strip: int  # pixels of the height, for the depth
    detail: bool  # with labels

    @property
    def floor(self) -> int:
        """Pixel of the lower edge of the depth's area."""
        return self.height - _CLOCK


@dataclasses.dataclass(frozen=True, slots=True)
class Depth:
    """The waiting writes: each change, the upper end of the scale, the end of the drain."""

    steps: Steps
    most: int
    drained: float | None  # seconds of the run; None: unknown, or no write waited


def kind(request: Request, found: Sequence[Blackout]) -> str:
    """The kind of dot for this request: a key of ``KINDS``."""
    if request.failed:
        return "failed"
    if request.hit:
        return "hit"
    if not request.is_read:
        return "write"
    met = any(gap.start < request.done and request.scheduled < gap.end for gap in found)
    return "held" if met else "read"


def dots(requests: Iterable[Request], found: Sequence[Blackout], frame: Frame) -> str:
    """The SVG paths of all kinds."""
    places: dict[str, set[tuple[float, float]]] = {name: set() for name in KINDS}
    for request in requests:
        if frame.shows(request.scheduled):
            x, y = frame.x(request.scheduled), frame.y(request.latency)
            places[kind(request, found)].add((round(x * 2) / 2, round(y * 2) / 2))
    return "".join(
        f'<path class="dot {name}" d="'
        + "".join(f"M{x:g} {y:g}h0" for x, y in sorted(spots))
        + '"/>'
        for name, spots in places.items()
        if spots
    )


def _text(x: float, y: float, words: str, style: str, anchor: str = "middle") -> str:
    return (
        f'<text class="{style}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )


def _axes(frame: Frame, view: View) -> str:
    parts = []
    for value, name in latency_ticks(frame.slowest):
        y = frame.y(value)
        style = "grid noticed" if value == 0.1 else "grid"
        parts.append(f'<path class="{style}" d="M{frame.left} {y:.1f}H{frame.right}"/>')
        parts.append(_text(frame.left - 6, y + 4, name, "tick", "end"))
    for at in seconds_ticks(frame.start, frame.end, view.width // 90):
        x = frame.x(at + frame.origin)
        parts.append(f'<path class="grid" d="M{x:.1f} {frame.top}V{view.floor}"/>')
        parts.append(_text(x, view.height - 4, clock(at), "tick"))
    return "".join(parts)


def _shades(found: Sequence[Blackout], frame: Frame, view: View) -> str:
    parts = []
    for gap in found:
        left, right = frame.x(gap.start), frame.x(gap.end)
        if right > left:
            size = f'width="{right - left:.1f}" height="{view.floor - frame.top:.1f}"'
            parts.append(f'<rect class="blackout" x="{left:.1f}" y="{frame.top}" {size}/>')
            if view.detail:
                words = f"guest silent {gap.seconds:.2f} s"
                room = right - left > len(words) * _CHARACTER
                x, anchor = ((left + right) / 2, "middle") if room else (right + 5, "start")
                parts.append(_text(x, frame.top + 15, words, "silent", anchor))
    return "".join(parts)


def _row(marks: list[tuple[str, float]], frame: Frame, top: float) -> str:
    parts = []
    ends = [at for _, at in marks[1:]] + [frame.end + frame.origin] * bool(marks)
    for (name, at), end in zip(marks, ends, strict=True):
        left, right = frame.x(at), frame.x(end)
        if right - left < 1:
            continue
        parts.append(
            f'<rect class="phase {escape(name)}" x="{left:.1f}" y="{top}" '
            f'width="{right - left:.1f}" height="15"><title>{escape(name)}</title></rect>'
        )
        if right - left > len(name) * _CHARACTER:
            parts.append(_text((left + right) / 2, top + 11, name, "phase-name"))
    return "".join(parts)


def _phases(run: Run, frame: Frame) -> str:
    """Two lanes: Nova above the agent."""
    marks = sorted(run.phases.items(), key=lambda item: item[1])
    names = {"migrate": "Nova migrates", "completed": "migrated"}
    nova = [(names.get(name, name), at) for name, at in marks if name not in _AGENT]
    agent = [(name, at) for name, at in marks if name in _AGENT]
    return _row(nova, frame, frame.top - 36) + _row(agent, frame, frame.top - 18)


def _strip(depth: Depth, frame: Frame, view: View) -> str:
    """Waiting writes, as an area below the latencies, with a mark at the end of the drain."""
    step = max((frame.end - frame.start) / 400, 0.002)
    found = sampled(depth.steps, step, frame.end + frame.origin)
    points = [(at, n) for at, n in found if frame.shows(at)]
    if not points:
        return ""
    base, most = view.floor, max(depth.most, 1)
    line = "".join(
        f"L{frame.x(at):.1f} {base - view.strip * min(n / most, 1):.1f}" for at, n in points
    )
    first, last = frame.x(points[0][0]), frame.x(points[-1][0])
    top = base - view.strip
    parts = [
        f'<path class="waiting" d="M{first:.1f} {base}{line}L{last:.1f} {base}Z"/>',
        f'<path class="grid" d="M{frame.left} {base}H{frame.right}"/>',
        _text(frame.left - 6, top + 10, f"{most}", "tick", "end"),
        _text(frame.left + 4, top + 10, "writes waiting", "caption", "start"),
    ]
    if depth.drained is not None and frame.shows(depth.drained):
        x = frame.x(depth.drained)
        parts.append(f'<path class="drained" d="M{x:.1f} {top}V{base}"/>')
        if view.detail:
            words = f"drained {clock(round(depth.drained - frame.origin, 2))} s"
            room = frame.right - x > len(words) * _CHARACTER
            parts.append(_text(x + 4 if room else x - 4, top + 10, words, "silent",
                               "start" if room else "end"))  # fmt: skip
    return "".join(parts)


def chart(run: Run, found: Sequence[Blackout], view: View, origin: float, depth: Depth) -> str:
    """The whole SVG; ``origin`` is the pause, in seconds of the run."""
    frame = Frame(
        left=52,
        right=view.width - 8,
        top=42,
        bottom=view.floor - view.strip - _GAP,
        start=view.start,
        end=view.end,
        slowest=view.slowest,
        origin=origin,
    )
    who = "with" if run.protected else "without"
    parts = [
        f'<svg viewBox="0 0 {view.width} {view.height}" role="img" '
        f'aria-label="{escape(run.case)}, {who} nova-cachemig: latency of every request">',
        _shades(found, frame, view),
        _axes(frame, view),
        _phases(run, frame),
        dots(run.requests, found, frame),
        _strip(depth, frame, view),
    ]
    return "".join(parts) + "</svg>"

"""Curves of the trainings as they are drawn: points in the units of the picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from soritune.report.records import CaseSummary
from soritune.report.table import metric_title

WIDTH, HEIGHT = 520, 200
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 10, 24
"""Margins of a picture, for its axes."""
MAX_POINTS = 400
"""Of one curve in a picture."""
MAX_ROWS = 12
"""Of the table beside it."""
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Tick:
    """A mark of an axis, at `place` of the picture."""

    place: float
    text: str


@dataclass(frozen=True)
class Curve:
    """One case: `line` are the points of an SVG polyline, `rows` some of them as figures."""

    case: str
    line: str
    rows: tuple[tuple[int, str], ...]


@dataclass(frozen=True)
class Chart:
    """A picture of all cases: what a figure is (`title`) against the steps."""

    title: str
    curves: tuple[Curve, ...]
    steps: tuple[Tick, ...]
    values: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def charts(cases: Sequence[CaseSummary]) -> list[Chart]:
    """Return the pictures that there are points for: the loss, the scores on dev, the rate."""
    losses = {c.name: [(p.step, p.loss) for p in c.curve if p.loss is not None] for c in cases}
    rates = {
        c.name: [(p.step, p.learning_rate) for p in c.curve if p.learning_rate is not None]
        for c in cases
    }
    found = [chart("loss", losses)]
    metrics = dict.fromkeys(p.dev.metric for c in cases for p in c.curve if p.dev is not None)
    for metric in metrics:
        scores = {
            c.name: [
                (p.step, p.dev.value)
                for p in c.curve
                if p.dev is not None and p.dev.metric == metric
            ]
            for c in cases
        }
        found.append(chart(f"dev {metric_title(metric)}", scores))
    found.append(chart("learning rate", rates))
    return [each for each in found if each is not None]


def chart(title: str, points: Mapping[str, Sequence[tuple[int, float]]]) -> Chart | None:
    """Return one picture; None where no case has two points."""
    drawn = {
        case: [(step, value) for step, value in own if math.isfinite(value)]
        for case, own in points.items()
    }
    drawn = {case: own for case, own in drawn.items() if len(own) > 1}
    if not drawn:
        return None
    last = max(step for own in drawn.values() for step, _ in own)
    low = min(0.0, *(value for own in drawn.values() for _, value in own))
    high = max(value for own in drawn.values() for _, value in own)
    values = _ticks(low, high)
    low, high = min(low, values[0]), max(high, values[-1])

    def x(step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / last

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / ((high - low) or 1.0)

    curves = [
        Curve(
            case,
            " ".join(f"{x(step):.1f},{y(value):.1f}" for step, value in _some(own, MAX_POINTS)),
            tuple((step, f"{value:.4g}") for step, value in _some(own, MAX_ROWS)),
        )
        for case, own in drawn.items()
    ]
    return Chart(
        title,
        tuple(curves),
        tuple(Tick(x(step), f"{step:,.0f}") for step in _ticks(0, last) if step <= last),
        tuple(Tick(y(value), f"{value:g}") for value in values),
    )


def _some(points: Sequence[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """Return at most `most` points, evenly chosen, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    return [points[round(i * (len(points) - 1) / (most - 1))] for i in range(most)]


def _ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers from `low` to beyond `high`."""
    raw = (high - low) / 4 or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * each for each in _STEPS if power * each >= raw * 0.999)
    first, last = math.floor(low / step), math.ceil(high / step - 1e-9)
    return [round(number * step, 12) for number in range(first, last + 1)]

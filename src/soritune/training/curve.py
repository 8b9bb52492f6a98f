"""The curve of a training: loss, learning rate and scores on dev, a line each in `log.jsonl`.

A line of the loss has `step`, `epoch`, `loss` (mean over the steps since the line before),
`learning_rate` and `grad_norm` (of the last of them). A line of the score has `step`, `epoch` and
`dev` with `metric`, `value` and `utterances`. A training that continues from a checkpoint starts
the file again with the lines up to it, so no step has two. Light to import, for what only reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from soritune.files import open_to_append, read_regular, write_atomically

CURVE_FILE = "log.jsonl"
MAX_STEPS_BETWEEN_POINTS = 10
MIN_POINTS = 40


@dataclass(frozen=True)
class DevScore:
    """The score on a sample of dev: `value` of `metric` ("cer" or "bleu") in percent."""

    metric: str
    value: float
    utterances: int


@dataclass(frozen=True)
class CurvePoint:
    """What was measured after `step` optimizer steps: the loss and its rate, or a score on dev.

    Attributes:
        loss: mean over the steps since the point before, in nats a target token.
        learning_rate: of the step (where a mode trains several parts, of the first group).
    """

    step: int
    loss: float | None = None
    learning_rate: float | None = None
    dev: DevScore | None = None


_POINT = TypeAdapter(CurvePoint)


def steps_between_points(num_steps: int) -> int:
    """Return after how many steps the loss is logged: ten, fewer in a short training."""
    return min(MAX_STEPS_BETWEEN_POINTS, max(1, num_steps // MIN_POINTS))


def read_curve(folder: Path) -> tuple[CurvePoint, ...]:
    """Return the points in the folder of a case, in their order; damaged lines are left out."""
    try:
        lines = read_regular(folder / CURVE_FILE).splitlines()
    except OSError:
        return ()
    points = []
    for line in lines:
        try:
            points.append(_POINT.validate_json(line))
        except ValidationError:
            continue
    return tuple(points)


class CurveLog:
    """Writes the curve while it grows, and keeps its last figures for the line of progress."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._shown: dict[str, str] = {}

    def begin(self, history: Iterable[Mapping[str, Any]]) -> None:
        """Start the file again with what a checkpoint remembers, nothing for a new training."""
        points = list(filter(is_point, history))
        write_atomically(self._path, "".join(map(_line, points)))
        for point in points:
            self._show(point)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add a point; other entries of the history are not of the curve."""
        if is_point(entry):
            with open_to_append(self._path) as file:
                file.write(_line(entry).encode())
            self._show(entry)

    def remark(self) -> str:
        """Return the last loss and the last score in words: `loss 2.31, dev CER 45.2`."""
        return ", ".join(self._shown.values())

    def _show(self, point: Mapping[str, Any]) -> None:
        if "loss" in point:
            self._shown["loss"] = f"loss {float(point['loss']):.3g}"
        if "dev" in point:
            self._shown["dev"] = f"dev {point['dev']['metric'].upper()} {point['dev']['value']:.1f}"


def is_point(entry: Mapping[str, Any]) -> bool:
    """Return whether an entry of the Trainer's history is a point of the curve."""
    return "loss" in entry or "dev" in entry


def _line(entry: Mapping[str, Any]) -> str:
    return json.dumps(entry) + "\n"

"""Progress of long work: a bar on a terminal, one plain line now and then elsewhere.

Everything goes to standard error, so that results on standard output can be piped.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from soritune.errors import visible

PLAIN_LINE_EVERY_S = 15.0

Advance = Callable[[float], None]
"""Called with how much more is done, in the unit of the work."""
Total = float | Callable[[], float | None] | None
"""Amount of work; None where unknown, or what tells it once it is known."""
Remark = Callable[[], str]
"""Gives words that stand at the end of a line of progress; "" for none."""


@contextmanager
def track(label: str, total: Total, unit: str, remark: Remark = lambda: "") -> Iterator[Advance]:
    """Show the progress of one stage and yield the function that advances it.

    Args:
        total: in `unit` (utterances, audio s, steps). Leave out what was done before an
            interruption: the rate counts only what happens in this block.
        remark: gives what else is to be shown, such as `loss 2.31`.
    """
    if sys.stderr.isatty():
        with _bar(label, total, unit, remark) as advance:
            yield advance
    else:
        plain = PlainProgress(label, total, unit, remark)
        try:
            yield plain.advance
        except BaseException:
            if plain.done > 0:
                plain.line("stopped")
            raise
        if plain.done > 0:
            plain.line("done")


def duration_text(seconds: float) -> str:
    """Return seconds as people read them: `7 s`, `3 min 05 s`, `2 h 04 min`."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def number_text(value: float) -> str:
    """Return a setting as recipes have it: `0.003`, `4e-5`."""
    return re.sub(r"e([+-])0*", lambda sign: "e" + sign[1].replace("+", ""), f"{value:g}")


class PlainProgress:
    """Writes lines for logs and pipes: label, done of total, rate, time left."""

    def __init__(
        self,
        label: str,
        total: Total,
        unit: str,
        remark: Remark = lambda: "",
        *,
        clock: Callable[[], float] = time.monotonic,
        write: Callable[[str], None] | None = None,
    ) -> None:
        self._label = label
        self._total = total
        self._unit = unit
        self._remark = remark
        self._clock = clock
        self._write = write or _to_stderr
        self._started_s = self._written_s = clock()
        self.done = 0.0

    def advance(self, amount: float) -> None:
        """Count `amount` more, and write a line when the last one is old enough."""
        self.done += amount
        if self._clock() - self._written_s >= PLAIN_LINE_EVERY_S:
            self.line()

    def line(self, state: str | None = None) -> None:
        """Write how far the work is; `state` ("done", "stopped") replaces the time left."""
        now_s = self._clock()
        elapsed_s = now_s - self._started_s
        self._written_s = now_s
        rate = self.done / elapsed_s if elapsed_s > 0 else 0.0
        total = _known(self._total)
        of_total = "" if total is None else f"/{_amount(total)}"
        parts = [f"{_amount(self.done)}{of_total} {self._unit}"]
        if rate > 0:
            parts.append(f"{_rate(rate)} {self._unit}/s")
        if state is not None:
            parts.append(f"{state} after {duration_text(elapsed_s)}")
        else:
            parts.append(f"{duration_text(elapsed_s)} elapsed")
            if rate > 0 and total is not None and total >= self.done:
                parts.append(f"{duration_text((total - self.done) / rate)} left")
        parts += filter(None, [self._remark()])
        self._write(f"{self._label}: {', '.join(parts)}")


def _known(total: Total) -> float | None:
    return total() if callable(total) else total


def _amount(value: float) -> str:
    return f"{value:,.0f}"


def _rate(value: float) -> str:
    return f"{value:.3g}" if value < 100 else _amount(value)


def _to_stderr(line: str) -> None:
    print(visible(line), file=sys.stderr, flush=True)


@contextmanager
def _bar(label: str, total: Total, unit: str, remark: Remark) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Amounts(ProgressColumn):
        def render(self, task: Task) -> Text:
            of_total = "" if task.total is None else f"/{_amount(task.total)}"
            speed = task.finished_speed or task.speed
            rate = f"  {_rate(speed)} {unit}/s" if speed else ""
            return Text(f"{_amount(task.completed)}{of_total} {unit}{rate}")

    class Remarks(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(remark())

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        Amounts(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        Remarks(),
    )
    with Progress(*columns, console=Console(stderr=True), speed_estimate_period=60.0) as progress:
        task_id = progress.add_task(visible(label), total=_known(total))

        def advance(amount: float) -> None:
            progress.update(task_id, advance=amount, total=_known(total))

        yield advance
        # Hide an empty bar: nothing was left to do.
        progress.update(task_id, visible=progress.tasks[0].completed > 0)

"""The scores of single utterances, one JSON line each: what tests and reports count again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from soritune.files import read_regular, write_atomically
from soritune.scoring.records import UtteranceScore
from soritune.scoring.table import Table

_LINE = TypeAdapter(UtteranceScore)


def counts_name(metric: str, variant: str) -> str:
    """Return the key of a table in `UtteranceScore.counts`."""
    return f"{metric}/{variant}"


def counts_of(tables: Sequence[Table], row: int) -> dict[str, tuple[float, ...]]:
    """Return what one utterance has in each table."""
    return {
        counts_name(table.metric, table.variant): tuple(map(_plain, table.counts[row].tolist()))
        for table in tables
    }


def write_utterances(path: Path, utterances: Sequence[UtteranceScore]) -> None:
    """Write a line for each utterance, atomically."""
    lines = [json.dumps(asdict(each), ensure_ascii=False) for each in utterances]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "".join(f"{line}\n" for line in lines))


def read_utterances(path: Path) -> list[UtteranceScore] | None:
    """Read what `write_utterances` wrote; None where it is missing or damaged."""
    try:
        return [_LINE.validate_json(line) for line in read_regular(path).splitlines()]
    except (OSError, ValidationError):
        return None


def _plain(value: float) -> float:
    """Return a whole number as one, so that it is short in JSON."""
    return int(value) if value.is_integer() else value

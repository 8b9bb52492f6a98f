"""`results.json`: all records of an experiment in one file that any tool can read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from soritune.errors import UserError
from soritune.files import read_regular, write_atomically
from soritune.scoring.records import (
    ConditionScore,
    Confusion,
    FailureCount,
    PairedTest,
    RetentionVerdict,
    Speed,
)
from soritune.scoring.score import Score

FORMAT = 2
"""Raised when a record changes; format 1 was a list of scores alone."""


@dataclass(frozen=True)
class Results:
    """The records of an experiment, or of files that were scored (docs/scoring.md)."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    scores: tuple[Score, ...] = ()
    tests: tuple[PairedTest, ...] = ()
    retention: tuple[RetentionVerdict, ...] = ()
    failures: tuple[FailureCount, ...] = ()
    conditions: tuple[ConditionScore, ...] = ()
    confusions: tuple[Confusion, ...] = ()
    speed: tuple[Speed, ...] = ()


_RESULTS = TypeAdapter(Results)


def write_results(path: Path, results: Results) -> None:
    """Write records atomically, one a line, keys in the order of their fields."""
    parts = [f'"format": {FORMAT}']
    for name, records in vars(results).items():
        lines = [json.dumps(asdict(each), ensure_ascii=False) for each in records]
        body = ",\n".join(f"  {line}" for line in lines)
        parts.append(f'"{name}": [\n{body}\n]' if lines else f'"{name}": []')
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, "{\n" + ",\n".join(parts) + "\n}\n")


def read_results(path: Path) -> Results:
    """Read what `write_results` wrote, or the list of scores of `soritune score --format json`.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    advice = "write it again with: soritune report " + str(path.parent)
    try:
        found = json.loads(read_regular(path))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run the recipe first (soritune run RECIPE)"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); {advice}") from error
    if isinstance(found, list) and found:
        found = {"format": FORMAT, "scores": found}
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        raise UserError(f"{path}: is not of format {FORMAT}; {advice}")
    try:
        return _RESULTS.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(f"{path}: {where}: {first['msg']}; {advice}") from None

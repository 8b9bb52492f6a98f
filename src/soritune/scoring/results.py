"""`results.json`: all scores of an experiment as a flat JSON list that any tool can read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from soritune.errors import UserError
from soritune.files import write_atomically
from soritune.scoring.score import Score


def write_results(path: Path, scores: Iterable[Score]) -> None:
    """Write scores atomically, keys in the order of the fields of `Score`."""
    lines = [json.dumps(asdict(score), ensure_ascii=False) for score in scores]
    body = ",\n".join(f"  {line}" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (f"[\n{body}\n]\n" if lines else "[]\n").encode())


def read_results(path: Path) -> list[Score]:
    """Read what `write_results` wrote.

    Raises:
        UserError: the file is missing, broken or of another kind.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run the recipe first (soritune run RECIPE)"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path}: cannot be read as JSON ({error}); delete it and run again"
        ) from error
    try:
        return TypeAdapter(list[Score]).validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(f"{path}: {where}: {first['msg']}; delete the file and run again") from None

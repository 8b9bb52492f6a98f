"""The records that a report is made from, and their files.

A file is a JSON list of flat records, so that any tool can read it without this package.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from soritune.errors import UserError
from soritune.scoring.score import Score

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class Result:
    """One cell of the table: a case's score in one evaluation, as `Score` has it."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    case: str
    evaluation: str
    metric: str
    value: float
    low: float
    high: float
    utterances: int
    signature: str

    @classmethod
    def of(cls, case: str, evaluation: str, score: Score) -> Result:
        return cls(case=case, evaluation=evaluation, **asdict(score))


@dataclass(frozen=True)
class CaseSummary:
    """What one case is and what it cost; None where it is not known (yet).

    `title` is its name in the table, `mode` the recipe's ("lora", "lora+audio"; None for the
    base as it is), `trained` the number of trained parameters by part ("LoRA", "encoder"),
    `parameters` that of the whole model. `trained_tensors` counts the tensors that the optimizer
    held, `moved_tensors` those of them that differ after the run. `model` is the folder (or hub
    id) that `soritune transcribe --model` takes. `left_out` counts utterances by corpus and split
    that were not trained on, because others are tested with their sentences.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    name: str
    title: str
    mode: str | None = None
    trained: dict[str, int] = field(default_factory=dict)
    parameters: int | None = None
    trained_tensors: int | None = None
    moved_tensors: int | None = None
    training_s: float | None = None
    evaluating_s: float | None = None
    model: str | None = None
    left_out: dict[str, int] = field(default_factory=dict)

    @property
    def trained_parameters(self) -> int:
        return sum(self.trained.values())

    @property
    def trained_share(self) -> float | None:
        """Trained over all parameters, 0–1; None where the model's size is not known."""
        return self.trained_parameters / self.parameters if self.parameters else None


@dataclass(frozen=True)
class Sample:
    """What one case wrote for one utterance, beside what it should have written."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    case: str
    evaluation: str
    reference: str
    hypothesis: str


Record = TypeVar("Record", Result, CaseSummary, Sample)


def write_records(path: Path, records: Iterable[Result | CaseSummary | Sample]) -> None:
    """Write records as one JSON list, keys in the order of their fields; whole or not at all."""
    lines = [json.dumps(asdict(record), ensure_ascii=False) for record in records]
    body = ",\n".join(f"  {line}" for line in lines)
    write_text(path, f"[\n{body}\n]\n" if lines else "[]\n")


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read what `write_records` wrote. Raises UserError on a file that is missing or other."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path}: no such file; run the recipe first (soritune run RECIPE)"
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read as JSON ({error}); delete it and run again") from (
            error
        )
    try:
        return TypeAdapter(list[kind]).validate_python(found)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UserError(
            f"{path}: {where}: {first['msg']}; delete the file and run again to make it anew"
        ) from None


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write `results.json`: a flat list whose keys are the fields of `Result`."""
    write_records(path, results)


def read_results(path: Path) -> list[Result]:
    """Read `results.json`. Raises UserError on a file that is missing, broken or other."""
    return read_records(path, Result)


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader, or an interruption, never meets half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)  # mkstemp's 0600 would hide the file from colleagues
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise

"""The records that a report is made from, and their files.

A file is a JSON list of flat records, so that any tool can read it without this package.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from soritune.errors import UserError
from soritune.files import write_atomically
from soritune.scoring.score import Score

STRICT = ConfigDict(extra="forbid")


@dataclass(frozen=True)
class CaseSummary:
    """What one case is and what it cost; None where it is not known (yet).

    Attributes:
        title: its name in the table.
        mode: the recipe's ("lora", "lora+audio"); None for the untrained base.
        trained: number of trained parameters by part ("LoRA", "encoder").
        parameters: of the whole model.
        trained_tensors: that the optimizer held.
        moved_tensors: those of them that differ after the run.
        model: folder or hub id that `soritune transcribe --model` takes.
        left_out: utterances by corpus and split that were not trained on, because another corpus
            is tested with their sentences.
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
    """What one case wrote for one utterance, with its reference."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    case: str
    evaluation: str
    reference: str
    hypothesis: str


Record = TypeVar("Record", Score, CaseSummary, Sample)


def write_records(path: Path, records: Iterable[Score | CaseSummary | Sample]) -> None:
    """Write records as one JSON list, keys in the order of their fields; whole or not at all."""
    lines = [json.dumps(asdict(record), ensure_ascii=False) for record in records]
    body = ",\n".join(f"  {line}" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, (f"[\n{body}\n]\n" if lines else "[]\n").encode())


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """Read what `write_records` wrote.

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
        return TypeAdapter(list[kind]).validate_python(found)  # type: ignore[valid-type]
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise UserError(f"{path}: {where}: {first['msg']}; delete the file and run again") from None


def write_results(path: Path, scores: Iterable[Score]) -> None:
    """Write `results.json`: a flat list whose keys are the fields of `Score`."""
    write_records(path, scores)


def read_results(path: Path) -> list[Score]:
    """Read `results.json`. Raises UserError as `read_records` does."""
    return read_records(path, Score)

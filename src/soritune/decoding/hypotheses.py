"""What a model wrote for the utterances of an evaluation, one JSON line each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from soritune.files import write_atomically
from soritune.tasks import Answer


@dataclass(frozen=True)
class Hypothesis:
    """What the model wrote for one utterance, with its reference.

    Attributes:
        output: all that the model wrote.
        transcript, translation: its parts, as the family reads them; None where there is none.
        mean_logprob: see `Generated`; None where a server does not give it.
        tokens: number of the generated tokens; None: not known.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    id: str
    reference: str
    output: str
    transcript: str | None
    translation: str | None
    mean_logprob: float | None
    duration_s: float
    tokens: int | None = None

    @property
    def scored(self) -> str:
        """The text that is compared with the reference."""
        return Answer(self.transcript, self.translation).scored


_LINE = TypeAdapter(Hypothesis)


def read_hypotheses(path: Path) -> list[Hypothesis]:
    """Read the whole lines of a file; what a kill cut short or a disk damaged is left out."""
    return [hypothesis for hypothesis, _ in _whole_lines(path)]


def drop_damaged_lines(path: Path) -> None:
    """Remove the lines that `read_hypotheses` leaves out."""
    if path.is_file():
        whole = b"".join(line + b"\n" for _, line in _whole_lines(path))
        if whole != path.read_bytes():
            write_atomically(path, whole)


def _whole_lines(path: Path) -> Iterator[tuple[Hypothesis, bytes]]:
    if not path.is_file():
        return
    # A whole line ends with a newline; what follows the last one was cut short.
    for line in path.read_bytes().split(b"\n")[:-1]:
        try:
            yield _LINE.validate_json(line), line
        except ValidationError:
            continue

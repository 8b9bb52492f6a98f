"""What a model wrote for the utterances of an evaluation, one JSON line each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from soritune.tasks import Answer


@dataclass(frozen=True)
class Hypothesis:
    """What the model wrote for one utterance, with its reference.

    Attributes:
        output: all that the model wrote.
        transcript, translation: its parts, as the family reads them; None where there is none.
        mean_logprob: see `Generated`.
    """

    id: str
    reference: str
    output: str
    transcript: str | None
    translation: str | None
    mean_logprob: float
    duration_s: float

    @property
    def scored(self) -> str:
        """The text that is compared with the reference."""
        return Answer(self.transcript, self.translation).scored


def read_hypotheses(path: Path) -> list[Hypothesis]:
    """Read the whole lines of a file; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    # A whole line ends with a newline; what follows the last one was cut short.
    return [Hypothesis(**json.loads(line)) for line in lines[:-1] if line]


def drop_cut_line(path: Path) -> None:
    """Remove a last line that a kill cut short."""
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)

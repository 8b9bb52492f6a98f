"""Decoding of a corpus split into one JSONL line an utterance, resumable."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from soritune.corpus.store import Corpus, Record
from soritune.models.family import SpeechModel
from soritune.tasks import Answer, Request, Task

DEFAULT_BATCH_SIZE = 32


@dataclass(frozen=True)
class Hypothesis:
    """What the model wrote for one utterance, beside what it should have written.

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
    """Read what `decode_records` wrote; a last line that a kill cut short is left out."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")
    # A whole line ends with a newline; what follows the last one was cut short.
    return [Hypothesis(**json.loads(line)) for line in lines[:-1] if line]


def decode_records(
    model: SpeechModel,
    corpus: Corpus,
    records: Sequence[Record],
    *,
    task: Task,
    to: str | None,
    out: Path,
    beams: int = 1,
    batch_size: int = DEFAULT_BATCH_SIZE,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Hypothesis]:
    """Decode `records` and append a line to `out` for each; those already there are skipped.

    Args:
        task: what to ask; a translation needs `to`.
        out: JSONL file, its folder exists.
        advance: called with the number of utterances done, those of an earlier run included.

    Returns:
        Hypotheses in the order of `records`.
    """
    done = {hypothesis.id: hypothesis for hypothesis in read_hypotheses(out)}
    _drop_cut_line(out)
    advance(sum(record.id in done for record in records))
    waiting = sorted(
        (record for record in records if record.id not in done), key=lambda r: -r.duration_s
    )
    with out.open("a", encoding="utf-8") as file:
        for start in range(0, len(waiting), batch_size):
            batch = waiting[start : start + batch_size]
            requests = [Request(task, r.language, to) for r in batch]
            inputs = [
                model.processor.encode(corpus.samples(r), request)
                for r, request in zip(batch, requests, strict=True)
            ]
            limits = [model.processor.max_new_tokens(r.duration_s) for r in batch]
            outputs = model.generate(inputs, limits, beams=beams)
            for record, request, output in zip(batch, requests, outputs, strict=True):
                answer = model.processor.parse(request, output.text)
                hypothesis = Hypothesis(
                    id=record.id,
                    reference=record.text if task is Task.ASR else (record.translation or ""),
                    output=output.text,
                    transcript=answer.transcript,
                    translation=answer.translation,
                    mean_logprob=output.mean_logprob,
                    duration_s=record.duration_s,
                )
                file.write(json.dumps(asdict(hypothesis), ensure_ascii=False) + "\n")
                done[record.id] = hypothesis
            file.flush()
            advance(len(batch))
    return [done[record.id] for record in records]


def _drop_cut_line(path: Path) -> None:
    if not path.is_file():
        return
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)

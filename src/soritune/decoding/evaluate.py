"""Resumable decoding of corpus records into a JSONL file."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from soritune.corpus.store import Corpus, Record
from soritune.decoding.engine import Piece, decode_batch
from soritune.decoding.hypotheses import Hypothesis, drop_damaged_lines, read_hypotheses
from soritune.models.family import SpeechModel
from soritune.tasks import Request, Task

DEFAULT_BATCH_SIZE = 32


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
    """Decode `records` and append a line to `out` for each; records that have one are skipped.

    Args:
        task: what to ask; a translation needs `to`.
        out: JSONL file, its folder exists.
        advance: called with the number of utterances done, those of an earlier run included.

    Returns:
        Hypotheses in the order of `records`.
    """
    drop_damaged_lines(out)
    done = {hypothesis.id: hypothesis for hypothesis in read_hypotheses(out)}
    advance(sum(record.id in done for record in records))
    waiting = sorted(
        (record for record in records if record.id not in done), key=lambda r: -r.duration_s
    )
    with out.open("a", encoding="utf-8") as file:
        for start in range(0, len(waiting), batch_size):
            batch = waiting[start : start + batch_size]
            pieces = [
                Piece((0, number), corpus.samples(record), Request(task, record.language, to))
                for number, record in enumerate(batch, start=start)
            ]
            decoded = decode_batch(model, pieces, beams=beams)
            for record, output in zip(batch, decoded, strict=True):
                answer = output.answer
                assert output.mean_logprob is not None  # the local engine gives it
                hypothesis = Hypothesis(
                    id=record.id,
                    reference=record.text if task is Task.ASR else (record.translation or ""),
                    output=output.output,
                    transcript=answer.transcript,
                    translation=answer.translation,
                    mean_logprob=output.mean_logprob,
                    duration_s=record.duration_s,
                    tokens=len(output.tokens) or None,
                )
                file.write(json.dumps(asdict(hypothesis), ensure_ascii=False) + "\n")
                done[record.id] = hypothesis
            file.flush()
            advance(len(batch))
        os.fsync(file.fileno())
    return [done[record.id] for record in records]

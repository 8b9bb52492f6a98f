"""Resumable decoding of corpus records into a JSONL file, by a model or by a server."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from soritune.corpus.store import Corpus, Record
from soritune.decoding.engine import Decoded, Engine, Piece, Refused, decode_batch
from soritune.decoding.hypotheses import Hypothesis, drop_damaged_lines, read_hypotheses
from soritune.errors import UserError
from soritune.files import open_to_append
from soritune.models.speech_model import SpeechModel
from soritune.tasks import Request, Task

DEFAULT_BATCH_SIZE = 32
Answers = Iterator[Sequence[tuple[Record, Decoded]]]


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

    def answers(waiting: Sequence[Record]) -> Answers:
        ordered = sorted(waiting, key=lambda record: -record.duration_s)
        for start in range(0, len(ordered), batch_size):
            batch = ordered[start : start + batch_size]
            pieces = [
                _piece(corpus, record, number, task, to)
                for number, record in enumerate(batch, start=start)
            ]
            decoded = decode_batch(model, pieces, beams=beams)
            yield list(zip(batch, decoded, strict=True))

    return _append(out, records, task, answers, advance)


def ask_server(
    engine: Engine,
    corpus: Corpus,
    records: Sequence[Record],
    *,
    task: Task,
    to: str | None,
    out: Path,
    advance: Callable[[int], None] = lambda _: None,
) -> list[Hypothesis]:
    """Have a server answer `records`, a line in `out` for each as soon as it comes.

    Args and Returns: see `decode_records`.

    Raises:
        UserError: the server cannot be reached, or did not answer all: a refused utterance is not
            an empty answer. What it answered is kept.
    """
    refused: list[str] = []

    def answers(waiting: Sequence[Record]) -> Answers:
        pieces = (_piece(corpus, record, number, task, to) for number, record in enumerate(waiting))
        for piece, found in engine.decode(pieces):
            record = waiting[piece.key[1]]
            if isinstance(found, Refused):
                refused.append(f"{record.id}: {found.error}")
            else:
                yield [(record, found)]

    found = _append(out, records, task, answers, advance)
    if refused:
        raise UserError(
            f"{len(refused)} of {len(records)} utterances have no answer (first: {refused[0]}). "
            "Run the same command again to ask for them alone, or evaluate a corpus without them"
        )
    return found


def _piece(corpus: Corpus, record: Record, number: int, task: Task, to: str | None) -> Piece:
    return Piece((0, number), corpus.samples(record), Request(task, record.language, to))


def _append(
    out: Path,
    records: Sequence[Record],
    task: Task,
    answers: Callable[[Sequence[Record]], Answers],
    advance: Callable[[int], None],
) -> list[Hypothesis]:
    """Write what is answered for those records that have no line yet; return all lines."""
    drop_damaged_lines(out)
    done = {hypothesis.id: hypothesis for hypothesis in read_hypotheses(out)}
    waiting = [record for record in records if record.id not in done]
    advance(len(records) - len(waiting))
    with open_to_append(out) as file:
        for batch in answers(waiting):
            for record, decoded in batch:
                hypothesis = _hypothesis(record, task, decoded)
                file.write(f"{json.dumps(asdict(hypothesis), ensure_ascii=False)}\n".encode())
                done[record.id] = hypothesis
            file.flush()
            advance(len(batch))
        os.fsync(file.fileno())
    return [done[record.id] for record in records if record.id in done]


def _hypothesis(record: Record, task: Task, decoded: Decoded) -> Hypothesis:
    return Hypothesis(
        id=record.id,
        reference=record.text if task is Task.ASR else (record.translation or ""),
        output=decoded.output,
        transcript=decoded.answer.transcript,
        translation=decoded.answer.translation,
        mean_logprob=decoded.mean_logprob,
        duration_s=record.duration_s,
        tokens=len(decoded.tokens) or None,
    )

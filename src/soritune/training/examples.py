"""From corpora to what is trained: which clips, with which task, in which epoch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from soritune.augment.chain import Augmenter
from soritune.corpus.store import Corpus, Record
from soritune.errors import UserError
from soritune.models.speech_model import Processor
from soritune.recipe import TrainPart
from soritune.seeding import generator
from soritune.tasks import Answer, Request, Task
from soritune.training.mixture import NOTHING_EXCLUDED, ExcludedIds, choose_records


@dataclass(frozen=True)
class Draw:
    """How a clip of an augmented part is changed: by whose augmentation, with which draws."""

    part: int
    key: tuple[object, ...]


@dataclass(frozen=True)
class Example:
    """One clip with the request and the answer that are trained."""

    corpus: str
    record: Record
    request: Request
    answer: Answer
    num_tokens: int
    draw: Draw | None = None


def epoch_examples(
    parts: Sequence[TrainPart],
    corpora: Mapping[str, Corpus],
    processor: Processor,
    *,
    seed: int,
    epoch: int,
    augmenters: Mapping[int, Augmenter] | None = None,
    excluded: ExcludedIds = NOTHING_EXCLUDED,
) -> list[Example]:
    """Return all examples of one epoch, in the order of the corpora; tasks are drawn in each epoch.

    Args:
        augmenters: by number of part. They draw for each clip in each epoch, and their changes
            count in the length of a sequence.

    Raises:
        UserError: a translation task meets an utterance without a translation.
    """
    examples = []
    numbers = {id(part): number for number, part in enumerate(parts)}
    turns: Counter[tuple[int, str]] = Counter()
    draws: dict[str, np.random.Generator] = {}
    for part, record in choose_records(parts, corpora, seed, epoch, excluded):
        draw = draws.setdefault(
            f"{part.corpus}/{part.split}", generator(seed, "task", part.corpus, part.split, epoch)
        )
        tasks = sorted(part.tasks)
        task = tasks[int(draw.choice(len(tasks), p=[part.tasks[t] for t in tasks]))]
        to = part.to or record.translation_language
        if task is not Task.ASR and (record.translation is None or to is None):
            raise UserError(
                f'corpus "{part.corpus}": utterance {record.id} has no translation, but task '
                f'"{task.value}" needs one; train it with tasks: {{asr: 1}}'
            )
        if task is not Task.ASR and to != (record.translation_language or to):
            raise UserError(
                f'corpus "{part.corpus}": utterance {record.id} is translated into '
                f'{record.translation_language}, but the case trains "to: {to}"; leave "to" out'
            )
        request = Request(task, record.language, None if task is Task.ASR else to)
        answer = Answer(
            None if task is Task.AST else record.text,
            None if task is Task.ASR else record.translation,
        )
        duration_s, chosen = record.duration_s, None
        augmenter = (augmenters or {}).get(numbers[id(part)])
        if augmenter is not None:
            # A replay may take an utterance several times in an epoch, each time with other draws.
            turn = turns[numbers[id(part)], record.id]
            turns[numbers[id(part)], record.id] += 1
            key = (augmenter.seed, seed, part.corpus, record.id, epoch, turn)
            chosen = Draw(numbers[id(part)], key)
            duration_s = augmenter.duration_s(duration_s, key)
        length = processor.num_tokens(duration_s, request, answer)
        examples.append(Example(part.corpus, record, request, answer, length, chosen))
    return examples

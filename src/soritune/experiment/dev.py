"""Scores of a training on a fixed sample of dev, as its recipe asks for (`dev` of a case)."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.corpus.store import Corpus, Record
from soritune.corpus.subset import rank
from soritune.errors import UserError
from soritune.recipe import Case
from soritune.tasks import Task
from soritune.training.curve import DevScore

if TYPE_CHECKING:
    from soritune.models.speech_model import SpeechModel


def dev_scorer(
    name: str, case: Case, corpora: Mapping[str, Corpus]
) -> Callable[[SpeechModel], DevScore] | None:
    """Return what scores a model on the sample of `case`; None where it asks for no scores.

    The sample is of the dev splits of the corpora that the case trains on, without replays: CER of
    transcripts where it trains them, else BLEU of translations. A larger sample contains a smaller
    one.

    Raises:
        UserError: there is no utterance to score.
    """
    if case.dev is None:
        return None
    task = _task(case)
    held_out = {part.corpus for part in case.train} - {
        part.corpus for part in case.train if part.split == "dev"
    }
    found = [
        (corpus, record)
        for corpus in dict.fromkeys(part.corpus for part in case.train if part.replay is None)
        if corpus in held_out
        for record in corpora[corpus].records("dev")
        if task is Task.ASR or record.translation is not None
    ]
    if not found:
        raise UserError(no_dev(name, "" if task is Task.ASR else " with translations"))
    sample = sorted(found, key=lambda each: rank(each[1].id))[: case.dev.utterances]
    first = sample[0][1]
    to = next((part.to for part in case.train if part.to), first.translation_language)
    request = (task, None if task is Task.ASR else to)
    language = first.language if task is Task.ASR else to or first.language
    return lambda model: _score(model, corpora, sample, request, language)


def no_dev(case: str, what: str = "") -> str:
    """Return the message for a case without an utterance to score."""
    return (
        f'case "{case}": "dev" asks for scores, but no corpus that it trains on has a dev '
        f"split{what}. Raise dev_share of the corpus, or remove dev from the case."
    )


def _task(case: Case) -> Task:
    tasks = [task for part in case.train if part.replay is None for task in part.tasks]
    return Task.ASR if Task.ASR in tasks else tasks[0]


def _score(
    model: SpeechModel,
    corpora: Mapping[str, Corpus],
    sample: list[tuple[str, Record]],
    request: tuple[Task, str | None],
    language: str,
) -> DevScore:
    from soritune.decoding.evaluate import decode_records
    from soritune.scoring.evaluate import evaluate_hypotheses

    task, to = request
    of_corpus: defaultdict[str, list[Record]] = defaultdict(list)
    for corpus, record in sample:
        of_corpus[corpus].append(record)
    written = []
    with tempfile.TemporaryDirectory() as folder:
        for corpus, records in of_corpus.items():
            out = Path(folder) / f"{corpus}.jsonl"
            written += decode_records(model, corpora[corpus], records, task=task, to=to, out=out)
    metric = "cer" if task is Task.ASR else "bleu"
    references = [hypothesis.reference for hypothesis in written]
    scored = [hypothesis.scored for hypothesis in written]
    (score,) = evaluate_hypotheses([metric], language, references, scored, num_resamples=1)
    return DevScore(metric, round(score.value, 2), len(written))

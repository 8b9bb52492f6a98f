"""Which utterances an evaluation takes, and which are shown as samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from soritune.corpus.store import Corpus, Record
from soritune.corpus.subset import subset
from soritune.errors import UserError
from soritune.recipe import Evaluation
from soritune.tasks import Task


def select_records(name: str, evaluation: Evaluation, corpus: Corpus) -> list[Record]:
    """Return the utterances of an evaluation, in the order of the corpus.

    Translations take those spoken in `from` that have a translation into `to`. A limit takes the
    same utterances whatever the seed, from all over the split (its first ones are often of one
    speaker).

    Raises:
        UserError: none is left.
    """
    split = corpus.records(evaluation.split)
    division = corpus.card.division
    share = {} if division is None else {"test": division.test_share, "dev": division.dev_share}
    found = [record for record in split if _fits(record, evaluation)]
    if not found:
        wanted, there = "", "choose another corpus or split"
        empty = there
        if share.get(evaluation.split) == 0:
            empty = (
                f"its {evaluation.split}_share is 0: raise it, or choose another corpus or split"
            )
        if evaluation.task is not Task.ASR:
            wanted = f" in {evaluation.source_language} with a translation into {evaluation.to}"
            there = f"there are {_pairs(split)}: fix from and to, or choose another corpus"
        raise UserError(
            f'evaluation "{name}": corpus "{evaluation.corpus}" has no utterance of split '
            f'"{evaluation.split}"{wanted} ({len(split)} in the split); '
            + (there if split else empty)
        )
    if evaluation.limit is None or evaluation.limit >= len(found):
        return found
    kept = set(subset((record.id for record in found), evaluation.limit))
    return [record for record in found if record.id in kept]


def other_languages(evaluation: Evaluation, corpus: Corpus) -> str:
    """Return the languages of the translations that `from` leaves out, with their numbers."""
    counts = Counter(
        record.language
        for record in corpus.records(evaluation.split)
        if record.translation is not None
        and record.translation_language == evaluation.to
        and record.language != evaluation.source_language
    )
    return ", ".join(f"{language} ({number:,})" for language, number in sorted(counts.items()))


def spoken_language(records: Sequence[Record]) -> str:
    """Return the language of most of the utterances; of equally many the first by name."""
    counts = Counter(record.language for record in records)
    return min(counts, key=lambda language: (-counts[language], language))


def _pairs(records: Sequence[Record]) -> str:
    """Return what a split holds: `ko to en (270), ko without translation (3)`."""
    counts = Counter(
        f"{record.language} to {record.translation_language}"
        if record.translation is not None
        else f"{record.language} without translation"
        for record in records
    )
    return ", ".join(f"{pair} ({number:,})" for pair, number in sorted(counts.items()))


def _fits(record: Record, evaluation: Evaluation) -> bool:
    if evaluation.task is Task.ASR:
        return True
    return (
        record.translation is not None
        and record.language == evaluation.source_language
        and record.translation_language == evaluation.to
    )

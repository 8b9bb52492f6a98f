"""The corpora of a recipe: read, checked and stored."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.corpus.card import CorpusCard
from soritune.corpus.split_warnings import split_warnings, splits_of
from soritune.errors import UserError, nearest
from soritune.experiment.corpus_state import corpus_state
from soritune.experiment.plan import Plan
from soritune.experiment.without_effect import division_without_effect
from soritune.progress import duration_text, track
from soritune.recipe import Recipe

if TYPE_CHECKING:
    from soritune.corpus.pool import Executor

MAX_WORKERS = 8

Say = Callable[[str], None]


def prepare_corpora(
    plan: Plan,
    names: Sequence[str],
    say: Say,
    *,
    workers: int | None = None,
    executor: Executor | None = None,
) -> None:
    """Prepare the named corpora of a recipe (all, if none is named) and report the outcome.

    Raises:
        UserError: a corpus does not exist, cannot be read, or gives nothing.
    """
    from soritune.corpus.pool import run_chunks
    from soritune.corpus.prepare import prepare
    from soritune.sources import count_source

    for name in _known(names, plan.recipe):
        folder = plan.corpus_folder(name)
        source = plan.recipe.corpora[name]
        state = corpus_state(name, source, folder)
        if state.reasons:
            say(f"prepare {name} again: {', '.join(state.reasons)}")
        card = state.card
        if card is None:
            with track(f"prepare {name}", count_source(source), "utterances") as advance:
                card = prepare(
                    name,
                    source,
                    folder,
                    workers=default_workers() if workers is None else workers,
                    advance=advance,
                    executor=executor or run_chunks,
                )
        unchanged = state.card is not None
        say(f"corpus {name}: {'done before, ' if unchanged else ''}{card_text(card)}")
        for line in [*_remarks(card, folder), *division_without_effect(source, card)]:
            say(f"  {line}")
        for warning in split_warnings(splits_of(name, card), tested_splits(plan.recipe, name)):
            if not unchanged or warning.kind != "other-test":
                say(f"warning: {warning}")


def tested_splits(recipe: Recipe, corpus: str) -> set[str]:
    """Return the splits of a corpus that a recipe scores.

    Where it scores nothing that is test, unless the corpus is to have none.
    """
    if not recipe.evaluate:
        return {"test"} if getattr(recipe.corpora[corpus], "test_share", None) != 0 else set()
    return {str(each.split) for each in recipe.evaluate.values() if each.corpus == corpus}


def card_text(card: CorpusCard) -> str:
    """Return `12,000 utterances, 6 h 20 min (train 11,000, test 1,000)`."""
    splits = ", ".join(f"{name} {split.utterances:,}" for name, split in card.splits.items())
    return f"{card.taken:,} utterances, {duration_text(card.duration_s)} ({splits or 'empty'})"


def default_workers() -> int:
    """Return the number of processes that prepare speech: one a usable core, within reason."""
    return min(MAX_WORKERS, len(os.sched_getaffinity(0)))


def _remarks(card: CorpusCard, folder: Path) -> list[str]:
    from soritune.corpus.folder import CorpusFolder
    from soritune.corpus.selection import NOTE_TEXTS

    lines = []
    if card.quarantined:
        reasons = ", ".join(f"{reason} {count}" for reason, count in card.reasons.items())
        lines.append(
            f"{card.quarantined} of {card.read} left out ({reasons}): see "
            f"{CorpusFolder(folder).quarantine_path}"
        )
    shared = card.reasons.get("shared-sentence", 0)
    if shared:
        lines.append(
            f"{shared:,} of those have a sentence that is also in dev or test; to train on them "
            f"nevertheless: shared_sentences: keep"
        )
    lines += [f"{count:,} {NOTE_TEXTS[kind]}" for kind, count in card.notes.items()]
    return lines


def _known(names: Sequence[str], recipe: Recipe) -> list[str]:
    for name in names:
        if name not in recipe.corpora:
            raise UserError(f'the recipe has no corpus "{name}"{nearest(name, recipe.corpora)}')
    return list(names) or list(recipe.corpora)

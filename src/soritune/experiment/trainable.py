"""What can be known to go wrong with a training before it begins."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from soritune.corpus.store import Corpus
from soritune.models.checkpoint import ADAPTER_CONFIG_FILE, CONFIG_FILE
from soritune.progress import number_text
from soritune.recipe import Case, Recipe

HIGHEST_USUAL_RATE = 0.1
"""AdamW moves each weight by about that in a step; published recipes stay below 0.01."""


def check_base(recipe: Recipe) -> None:
    """Open settings and headers of a base that is on this machine, as training will.

    Raises UserError where it is damaged, not whole, or of no family that this version trains.
    """
    from soritune.models.open import check_opens

    if recipe.cases:
        check_opens(recipe.model.base, recipe.model.revision)


def ask_hub_for_base(recipe: Recipe) -> None:
    """Download the settings of a base on the hub, a few kilobytes, before any long work.

    Raises UserError where the hub does not have it, or no family of this version opens it.
    """
    from soritune import hub
    from soritune.models.registry import family_of

    base, revision = recipe.model.base, recipe.model.revision
    is_elsewhere = hub.is_hub_id(base) and not Path(base).expanduser().is_dir()
    if is_elsewhere and hub.cached_file(base, CONFIG_FILE, revision) is None:
        hub.download(base, revision, allow=[CONFIG_FILE, ADAPTER_CONFIG_FILE])
        family_of(base, revision)


def training_warnings(name: str, case: Case, corpora: Mapping[str, Corpus]) -> list[str]:
    """Return warnings of a case whose corpora are prepared."""
    number = sum(
        max(1, round(len(corpora[part.corpus].records(part.split)) * part.share))
        for part in case.train
        if part.replay is None
    )
    return [*rate_warnings(name, case), *size_warnings(name, case, number)]


def rate_warnings(name: str, case: Case) -> Iterator[str]:
    """Yield a warning for each learning rate that no training survives."""
    for key in ("learning_rate", "audio_learning_rate"):
        rate = getattr(case, key)
        if rate is not None and rate > HIGHEST_USUAL_RATE:
            yield (
                f"case {name}: {key} is {number_text(rate)}, which destroys the weights in a few "
                f"steps; usual are 1e-5 to 3e-3"
            )


def size_warnings(name: str, case: Case, utterances: int) -> Iterator[str]:
    """Yield a warning where a step would take more than there is."""
    if utterances < case.batch_size:
        yield (
            f"case {name}: batch_size is {case.batch_size}, but an epoch has {utterances:,} "
            f"utterances, so it is one step; lower batch_size, or raise epochs"
        )

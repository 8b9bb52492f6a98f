"""Settings of a recipe that change nothing, each with its line: what is given should count."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from soritune.corpus.card import CorpusCard
from soritune.models.record import BUILTIN_PREFIX
from soritune.recipe.document import Node
from soritune.recipe.load import Loc, RecipeFile
from soritune.scoring.variants import VARIANTS
from soritune.sources.options import options_of

if TYPE_CHECKING:
    from soritune.models.family import Family

DIVISION = ("split_by", "test_share", "dev_share")
_SIZE = ("r", "alpha", "dropout")


def without_effect(file: RecipeFile, family: Family) -> list[str]:
    """Return `file:line: what has no effect, and why`, in the order of the file.

    A value that other cases take over by `like` counts as used where one of them uses it.
    """
    found = [
        *_of_model(file, family),
        *_of_corpora(file),
        *_of_cases(file, family),
        *_of_evaluations(file),
    ]
    lines = sorted((file.root.line_of(loc), what, why) for loc, what, why in found)
    return [f"{file.path}:{line}: {what} has no effect: {why}" for line, what, why in lines]


def division_without_effect(source: BaseModel, card: CorpusCard) -> list[str]:
    """Return a line where settings of a division are given, but the source names its splits."""
    whole = all(split.content for split in card.splits.values())  # earlier versions did not say
    given = {key for key in source.model_fields_set & set(DIVISION) if getattr(source, key) != 0}
    if card.division is not None or not whole or not given:
        return []
    keys = ", ".join(f'"{key}"' for key in DIVISION if key in given)
    return [f"{keys} without effect: the source names the splits of its entries"]


Found = Iterator[tuple[Loc, str, str]]


def _of_model(file: RecipeFile, family: Family) -> Found:
    model, cases = file.recipe.model, file.recipe.cases
    if model.revision is not None and (
        model.base.startswith(BUILTIN_PREFIX) or Path(model.base).expanduser().is_dir()
    ):
        yield ("model", "revision"), '"revision"', "it is for the hub, and the base is here"
    for key in _SIZE if cases else ():
        users = [
            case
            for name, case in cases.items()
            if _trains_lora(family, case.mode) and not _given(file, name, "lora", key)
        ]
        if _at(file, "model", "lora", key) is not None and not users:
            why = "no case trains a LoRA that takes it from the model"
            yield ("model", "lora", key), f'"lora.{key}"', why


def _of_corpora(file: RecipeFile) -> Found:
    recipe = file.recipe
    for name, source in recipe.corpora.items():
        path = getattr(source, "path", None)
        if getattr(source, "revision", None) is not None and path and Path(path).exists():
            why = "it is for the hub, and the path is here"
            yield ("corpora", name, "revision"), f'"revision" of corpus "{name}"', why
        augment = options_of(source).augment
        if augment is None or augment.stored or not recipe.cases:
            continue
        if not any(
            part.corpus == name and part.augment == augment
            for case in recipe.cases.values()
            for part in case.train
        ):
            why = "no case trains on it in that way"
            yield ("corpora", name, "augment"), f'"augment" of corpus "{name}"', why


def _of_cases(file: RecipeFile, family: Family) -> Found:
    used: set[int] = set()  # nodes; a node that is taken over by `like` is the same one
    unused: list[tuple[Node, tuple[Loc, str, str]]] = []
    for name, case in file.recipe.cases.items():
        parts = _parts(family, case.mode)
        hears = bool(parts & family.audio_parts)
        only_hears = parts <= family.audio_parts
        adapts = _trains_lora(family, case.mode)
        rates = (
            (
                ("audio_learning_rate",),
                hears,
                f"mode {case.mode} trains no part that hears",
            ),
            (
                ("learning_rate",),
                not (only_hears and case.audio_learning_rate is not None),
                f"mode {case.mode} trains only what hears, at audio_learning_rate",
            ),
        )
        sizes = ((("lora", key), adapts, f"mode {case.mode} trains no LoRA") for key in _SIZE)
        for keys, is_used, why in (*rates, *sizes):
            node = _given(file, name, *keys)
            if node is None:
                continue
            if is_used:
                used.add(id(node))
            elif ("cases", name, keys[0]) not in file.inherited:
                what = f'"{".".join(keys)}" of case "{name}"'
                unused.append((node, (("cases", name, *keys), what, why)))
    yield from (found for node, found in unused if id(node) not in used)


def _of_evaluations(file: RecipeFile) -> Found:
    for name, evaluation in file.recipe.evaluate.items():
        metrics = {metric.partition("/")[0] for metric in evaluation.metric_names}
        for index, variant in enumerate(evaluation.variants or ()):
            if metrics.isdisjoint(VARIANTS[variant].metrics):
                what = f'variant "{variant}" of evaluation "{name}"'
                why = f"it is for {', '.join(VARIANTS[variant].metrics)}"
                yield ("evaluate", name, "variants", index), what, why


def _given(file: RecipeFile, case: str, *keys: str) -> Node | None:
    """Return the value that a recipe gives in a case, or that the case takes over."""
    return _at(file, "cases", case, *keys)


def _at(file: RecipeFile, *keys: str) -> Node | None:
    node: Node | None = file.root
    for key in keys:
        node = None if node is None else node.child(key)
    return node


def _parts(family: Family, mode: str) -> frozenset[str]:
    from soritune.models.modes import parts_of_mode

    return parts_of_mode(family, mode)


def _trains_lora(family: Family, mode: str) -> bool:
    from soritune.models.family import LORA

    return LORA in _parts(family, mode)

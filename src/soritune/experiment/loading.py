"""Recipes of experiments: read, checked against the family of their base, and completed by it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.errors import RecipeProblem, UserError
from soritune.recipe import LoraConfig, Recipe
from soritune.recipe.load import RecipeFile, read_recipe
from soritune.tasks import Request, Task
from soritune.training.lora_size import lora_size

if TYPE_CHECKING:
    from pydantic import BaseModel

    from soritune.models.family import Family


def load_experiment(path: Path, *, download: bool = False) -> Recipe:
    """Read a recipe; check modes and tasks, and complete the LoRA, by the family of its base.

    Args:
        download: get a base whose family is not known otherwise. Without it, the recipe of such a
            base is returned unchecked.

    Raises:
        UserError: one line, `file:line: what`, for the first mistake in the file.
    """
    file = read_recipe(path)
    family = _family(file, download=download)
    if family is None:
        return file.recipe
    problems = list(_problems(file.recipe, family))
    if problems:
        raise file.error(problems)
    return complete(file.recipe, family)


def require_evaluations(recipe: Recipe) -> None:
    """Raises UserError where a recipe only prepares."""
    if not recipe.evaluate:
        lacking = "evaluations" if recipe.cases else "cases and no evaluations"
        raise UserError(
            f"recipe {recipe.name}: it has no {lacking}, so there is nothing to run. Add "
            f'"evaluate", and "cases" to train; soritune prepare and soritune doctor work without.'
        )


def complete(recipe: Recipe, family: Family) -> Recipe:
    """Return the recipe with modes in the family's order and the family's size of a LoRA."""
    from soritune.models.modes import written_mode

    cases = {
        name: case.model_copy(
            update={
                "mode": written_mode(family, case.mode),
                "lora": case.lora and _completed(case.lora, family),
            }
        )
        for name, case in recipe.cases.items()
    }
    model = recipe.model.model_copy(update={"lora": _completed(recipe.model.lora, family)})
    return recipe.model_copy(update={"model": model, "cases": cases})


def _completed(lora: LoraConfig, family: Family) -> LoraConfig:
    return lora.model_copy(update=asdict(lora_size(lora, family.lora)))


def _family(file: RecipeFile, *, download: bool) -> Family | None:
    from soritune.models import resolve
    from soritune.models.registry import family_of

    model = file.recipe.model
    try:
        family = family_of(model.base, model.revision)
    except UserError as error:
        raise file.error([RecipeProblem(str(error), "model", "base")]) from None
    if family is None and download:
        resolve(model.base, model.revision)
        return family_of(model.base, model.revision)
    return family


def _problems(recipe: Recipe, family: Family) -> Iterator[RecipeProblem]:
    from soritune.models.modes import written_mode

    for name, case in recipe.cases.items():
        try:
            written_mode(family, case.mode)
        except ValueError as error:
            yield RecipeProblem(str(error), "cases", name, "mode")
        for index, part in enumerate(case.train):
            source = recipe.corpora[part.corpus]
            to = part.to or getattr(source, "translation_language", None)
            for task in part.tasks:
                loc = ("cases", name, "train", index, "tasks")
                yield from _request_problems(family, source, task, to, *loc)
    for name, evaluation in recipe.evaluate.items():
        source = recipe.corpora[evaluation.corpus]
        task, to = evaluation.task, evaluation.to
        yield from _request_problems(family, source, task, to, "evaluate", name, "task")


def _request_problems(
    family: Family, source: BaseModel, task: Task, to: str | None, *loc: str | int
) -> Iterator[RecipeProblem]:
    """Yield what the family cannot do, as far as the recipe says what will be asked."""
    if task is not Task.ASR and to is None:
        return
    language = getattr(source, "language", None)
    try:
        family.check_request(Request(task, language, None if task is Task.ASR else to))
    except UserError as error:
        yield RecipeProblem(str(error), *loc)

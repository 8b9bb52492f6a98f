"""Recipes of experiments: read, checked against the family of their base, and completed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from soritune.decoding.server import ServerModel, server_model
from soritune.errors import RecipeProblem, UserError
from soritune.experiment.without_effect import without_effect
from soritune.recipe import LoraConfig, Recipe
from soritune.recipe.load import RecipeFile, read_recipe
from soritune.tasks import Request, Task
from soritune.training.lora_size import lora_size

if TYPE_CHECKING:
    from pydantic import BaseModel

    from soritune.models.family import Family


NO_BEAMS = 'a server decodes as it is set up there; leave out "beams"'


def load_experiment(
    path: Path, *, download: bool = False, say: Callable[[str], None] | None = None
) -> Recipe:
    """Read a recipe; check modes and tasks, and complete the LoRA, by the family of its base.

    Args:
        download: get a base whose family is not known otherwise. Without it, the recipe of such a
            base is returned unchecked.
        say: is called with a warning for each setting that has no effect.

    Raises:
        UserError: one line, `file:line: what`, for the first mistake in the file.
    """
    file = read_recipe(path)
    server = _server(file)
    if server is not None:
        problems = list(_server_problems(file.recipe, server))
        if problems:
            raise file.error(problems)
        return file.recipe
    family = _family(file, download=download)
    if family is None:
        return file.recipe
    problems = list(_problems(file.recipe, family))
    if problems:
        raise file.error(problems)
    if say is not None:
        for line in without_effect(file, family):
            say(f"warning: {line}")
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
    """Return the recipe with modes in the family's order, and the size of each LoRA."""
    from soritune.models.modes import written_mode

    model = recipe.model
    own: dict[str, tuple[int, float] | None] = {}

    def completed(lora: LoraConfig) -> LoraConfig:
        if lora.start == "base" and None in (lora.r, lora.alpha) and not own:
            from soritune.models.stored import brought_lora_size

            own["base"] = brought_lora_size(model.base, model.revision)
        brought = own.get("base") if lora.start == "base" else None
        return lora.model_copy(update=asdict(lora_size(lora, family.lora, brought)))

    cases = {
        name: case.model_copy(
            update={
                "mode": written_mode(family, case.mode),
                "lora": case.lora and completed(case.lora),
            }
        )
        for name, case in recipe.cases.items()
    }
    completed_model = model.model_copy(update={"lora": completed(model.lora)})
    return recipe.model_copy(update={"model": completed_model, "cases": cases})


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


def _server(file: RecipeFile) -> ServerModel | None:
    try:
        return server_model(file.recipe.model.base)
    except UserError as error:
        raise file.error([RecipeProblem(str(error), "model", "base")]) from None


def _server_problems(recipe: Recipe, server: ServerModel) -> Iterator[RecipeProblem]:
    check = server.engine().check
    if recipe.cases:
        yield RecipeProblem(
            "a base on a server can only be evaluated, not trained; leave out "
            '"cases", or give a base on this machine or the hub',
            "cases",
        )
    if recipe.model.revision is not None:
        yield RecipeProblem('"revision" is for the hub, not for a server', "model", "revision")
    for key in {"lora", "dtype"} & recipe.model.model_fields_set:
        problem = f'"{key}" is for a model on this machine; a server has its own'
        yield RecipeProblem(problem, "model", key)
    for name, evaluation in recipe.evaluate.items():
        source = recipe.corpora[evaluation.corpus]
        task, to = evaluation.task, evaluation.to
        yield from _request_problems(check, source, task, to, "evaluate", name, "task")
        if evaluation.beams > 1:
            yield RecipeProblem(NO_BEAMS, "evaluate", name, "beams")


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
                yield from _request_problems(family.check_request, source, task, to, *loc)
    for name, evaluation in recipe.evaluate.items():
        source = recipe.corpora[evaluation.corpus]
        task, to = evaluation.task, evaluation.to
        yield from _request_problems(
            family.check_request, source, task, to, "evaluate", name, "task"
        )


def _request_problems(
    check: Callable[[Request], None],
    source: BaseModel,
    task: Task,
    to: str | None,
    *loc: str | int,
) -> Iterator[RecipeProblem]:
    """Yield what `check` refuses, as far as the recipe says what will be asked."""
    if task is not Task.ASR and to is None:
        return
    language = getattr(source, "language", None)
    try:
        check(Request(task, language, None if task is Task.ASR else to))
    except UserError as error:
        yield RecipeProblem(str(error), *loc)

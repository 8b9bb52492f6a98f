"""What the processes of a training do that do not lead it."""

from __future__ import annotations

from soritune.corpus.store import Corpus
from soritune.distributed import Crew
from soritune.experiment.plan import Plan
from soritune.recipe import Recipe


def follow(recipe: Recipe, crew: Crew) -> None:
    """Train with rank 0 each case that it names, until it names none.

    Everything that a case needs is on disk by then: rank 0 prepared it before it spoke.
    """
    from soritune.training.run import train_case

    plan = Plan(recipe, recipe.output, base="")  # for its paths only
    while (case := crew.told()) is not None:
        settings = recipe.cases[case]
        train_case(
            settings,
            name=case,
            model=recipe.model,
            corpora={
                part.corpus: Corpus.open(plan.corpus_folder(part.corpus)) for part in settings.train
            },
            out=plan.case_folder(case),
            seed=recipe.seed,
            left_out={each.trained: frozenset(each.ids) for each in plan.left_out(case)},
        )

"""The loop of the ranks above 0: they train what rank 0 trains, and nothing else."""

from __future__ import annotations

from soritune.corpus.store import Corpus
from soritune.distributed import World
from soritune.experiment.plan import Plan
from soritune.recipe import Recipe


def train_with_main(recipe: Recipe, world: World) -> None:
    """Train each case that rank 0 broadcasts, until it broadcasts none.

    All that a case needs is on disk by then: rank 0 prepares it before it broadcasts the name.
    """
    from soritune.training.run import train_case

    plan = Plan(recipe, recipe.output, base="")  # for its paths only
    while (case := world.broadcast()) is not None:
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
            excluded={each.trained: frozenset(each.ids) for each in plan.excluded(case)},
        )

"""Cases that were renamed, which are not trained again, and folders that belong to nothing.

The name of a case is part of the fingerprint of its training, but nothing that is learnt depends on
it. So the folder of a case that the recipe does not name any more becomes that of a case with the
same settings. Its hypotheses stay; they are only scored again. `soritune.json` keeps the name under
which the model was trained.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from soritune.experiment.plan import Plan
from soritune.experiment.stage import Stage
from soritune.files import remove_files
from soritune.recipe.schema import ORIGINAL
from soritune.training.summary import TrainingSummary


def orphans(plan: Plan) -> list[Path]:
    """Return folders of cases and corpora that the recipe does not name."""
    known = {"cases": {ORIGINAL, *plan.recipe.cases}, "corpora": set(plan.recipe.corpora)}
    return [
        folder
        for kind, names in known.items()
        for folder in _folders(plan.output / kind)
        if folder.name not in names
    ]


def orphan_text(folder: Path) -> str:
    """Return what is said of a folder that belongs to nothing."""
    kind = "case" if folder.parent.name == "cases" else "corpus"
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return (
        f"{folder}: the recipe has no {kind} of that name ({size / 1e6:,.1f} MB); remove it if it "
        "is not needed"
    )


def trained_as(plan: Plan, case: str) -> str | None:
    """Return the former name of a case that was trained with the same settings, None if none was.

    A case that has a folder already was not renamed.
    """
    if plan.case_folder(case).exists():
        return None
    for folder in orphans(plan):
        if folder.parent.name == "cases" and _is_done(plan, case, folder.name):
            return folder.name
    return None


def adopt(plan: Plan, case: str, former: str) -> None:
    """Make the folder of a case that was renamed its own."""
    before = _as_named(plan, case, former)
    for evaluation in plan.recipe.evaluate:
        old = before.decode_stage(former, evaluation)
        replace(plan.decode_stage(case, evaluation), stamp=old.stamp).restamp(old)
    trained = before.train_stage(former)
    _moved(plan.train_stage(case), trained).restamp(trained)
    for evaluation in plan.recipe.evaluate:  # the name of the case stands in the scores
        scored, stamp, *_ = before.evaluation_files(former, evaluation)
        remove_files([scored, stamp], plan.case_folder(former))
    os.rename(plan.case_folder(former), plan.case_folder(case))


def _is_done(plan: Plan, case: str, former: str) -> bool:
    trained = _as_named(plan, case, former).train_stage(former)
    # A kill may have come after the stamp and before the folder's new name.
    return any(
        stage.done() is not None for stage in (trained, _moved(plan.train_stage(case), trained))
    )


def _moved(stage: Stage[TrainingSummary], place: Stage[TrainingSummary]) -> Stage[TrainingSummary]:
    return replace(stage, stamp=place.stamp, outputs=place.outputs)


def _as_named(plan: Plan, case: str, name: str) -> Plan:
    cases = {**plan.recipe.cases, name: plan.recipe.cases[case]}
    return replace(plan, recipe=plan.recipe.model_copy(update={"cases": cases}))


def _folders(parent: Path) -> Iterator[Path]:
    if parent.is_dir():
        yield from sorted(path for path in parent.iterdir() if path.is_dir())

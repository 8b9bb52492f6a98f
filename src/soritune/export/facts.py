"""What the run that a model comes from says of it: its figures, its recordings, what was lost."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from soritune.corpus.card import read_card
from soritune.files import read_regular
from soritune.hub import is_hub_id
from soritune.recipe import Evaluation, Recipe
from soritune.scoring.records import RetentionVerdict
from soritune.scoring.results import Results, read_results
from soritune.scoring.score import Score

_BASE = "original"
_UP_TO_RUN = 2  # runs/NAME/cases/CASE/model


@dataclass(frozen=True)
class TrainedCorpus:
    """Recordings that a case was trained on.

    Attributes:
        license: of the recordings, as the corpus says it.
        hub_id: data set of the hub, None where it is not one.
    """

    name: str
    source: str
    license: str
    hub_id: str | None
    utterances: int
    duration_s: float


@dataclass(frozen=True)
class RunFacts:
    """All of it.

    Attributes:
        scores: of the case; `before` those of the untrained base.
        retention: verdicts on skills that must not be lost; empty where none is marked.
        evaluations: of the recipe, by name; empty where it is not known.
    """

    case: str
    scores: tuple[Score, ...]
    before: tuple[Score, ...]
    retention: tuple[RetentionVerdict, ...]
    language: str | None
    evaluations: dict[str, Evaluation]
    corpora: tuple[TrainedCorpus, ...]
    tested: dict[str, str | None]
    """Data set of the hub of each evaluation, None where its corpus is not one."""
    synthetic: bool


def run_facts(model: Path, case: str | None) -> RunFacts | None:
    """Return what the run says that `model` lies in; None where it lies in none."""
    parents = model.resolve().parents
    if case is None or len(parents) <= _UP_TO_RUN:
        return None
    run = parents[_UP_TO_RUN]
    path = run / "results.json"
    if not path.is_file():
        return None
    results = read_results(path)
    recipe = _recipe(run)
    return RunFacts(
        case=case,
        scores=_of(results, case),
        before=_of(results, _BASE),
        retention=tuple(each for each in results.retention if each.case == case),
        language=None if recipe is None else recipe.language,
        evaluations={} if recipe is None else dict(recipe.evaluate),
        corpora=() if recipe is None else tuple(_corpora(run, recipe, case)),
        tested={}
        if recipe is None
        else {name: _hub_id(recipe, each.corpus) for name, each in recipe.evaluate.items()},
        synthetic=recipe is not None
        and any(each.source == "demo" for each in recipe.corpora.values()),
    )


def _of(results: Results, case: str) -> tuple[Score, ...]:
    return tuple(score for score in results.scores if score.case == case)


def _recipe(run: Path) -> Recipe | None:
    try:
        content = json.loads(read_regular(run / "experiment.json"))
        return Recipe.model_validate_json(json.dumps(content["recipe"]))
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _corpora(run: Path, recipe: Recipe, case: str) -> list[TrainedCorpus]:
    settings = recipe.cases.get(case)
    names = dict.fromkeys(part.corpus for part in settings.train) if settings else {}
    found = []
    for name in names:
        card = read_card(run / "corpora" / name)
        train = None if card is None else card.splits.get("train")
        found.append(
            TrainedCorpus(
                name=name,
                source=recipe.corpora[name].source,
                license="unknown" if card is None else card.license,
                hub_id=_hub_id(recipe, name),
                utterances=0 if train is None else train.utterances,
                duration_s=0.0 if train is None else train.duration_s,
            )
        )
    return found


def _hub_id(recipe: Recipe, corpus: str) -> str | None:
    path = str(getattr(recipe.corpora[corpus], "path", ""))
    return path if is_hub_id(path) and not Path(path).exists() else None

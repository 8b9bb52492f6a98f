"""What a run would download, prepare, train and evaluate, found out without doing it."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from soritune.corpus.leakage import held_out_splits, overlaps_of
from soritune.experiment.plan import Plan
from soritune.experiment.run import corpora_of
from soritune.experiment.summary import case_title
from soritune.recipe import Case, Recipe
from soritune.recipe.schema import BUILTIN, ORIGINAL
from soritune.sources import count_source, published_source
from soritune.sources.corpora.demo.source import DemoSource

# Parameters and bytes of the checkpoint (bfloat16), from the model's own files.
KNOWN_BASES = {"microsoft/Phi-4-multimodal-instruct": (5_574_460_224, 11_148_920_448)}


@dataclass(frozen=True)
class BaseCheck:
    """The base model; sizes are None where only a download would tell."""

    name: str
    parameters: int | None
    num_bytes: int | None
    download: bool


@dataclass(frozen=True)
class CorpusCheck:
    """One corpus. `splits` is None where only preparing it would tell, then `total` may help."""

    name: str
    source: str
    prepared: bool
    splits: Mapping[str, int] | None
    total: int | None
    duration_s: float | None
    download_bytes: int | None
    languages: Mapping[str, int] | None = None
    download: bool = False
    by_hand: str = ""

    def utterances(self, split: str) -> tuple[int | None, bool]:
        """Utterances of a split, at most, and whether that is the exact number."""
        if self.splits is not None:
            return self.splits.get(split, 0), True
        return self.total, False

    def compares_with(self, other: CorpusCheck) -> bool:
        """Whether it is known how many sentences both have.

        The demo's test sentences stand in none of its training sets.
        """
        return (self.prepared and other.prepared) or self.source == other.source == "demo"

    def utterances_in(self, duration_s: float) -> int:
        """About how many fit into a time; more than any corpus has where nothing is known."""
        if not self.duration_s or not self.total:
            return sys.maxsize
        return max(1, int(duration_s * self.total / self.duration_s))


@dataclass(frozen=True)
class CaseCheck:
    """One case; numbers are upper bounds where `exact` is false, None where nothing is known."""

    name: str
    title: str
    corpora: tuple[str, ...]
    utterances_per_epoch: int | None
    steps: int | None
    exact: bool
    done: bool


@dataclass(frozen=True)
class EvaluationCheck:
    """One evaluation; `cases_done` of the cases that go through it have their figures already."""

    name: str
    corpus: str
    split: str
    task: str
    metrics: tuple[str, ...]
    utterances: int | None
    exact: bool
    cases: int
    cases_done: int


@dataclass(frozen=True)
class Check:
    """All that a run would do."""

    name: str
    output: Path
    base: BaseCheck
    corpora: tuple[CorpusCheck, ...]
    cases: tuple[CaseCheck, ...]
    evaluations: tuple[EvaluationCheck, ...]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check(recipe: Recipe, only: Sequence[str] = ()) -> Check:
    """Look at a recipe; nothing is written or downloaded.

    Raises UserError where a file, a folder or a built-in base that it names is missing.
    """
    plan = Plan.of(recipe)
    cases = list(only) or [ORIGINAL, *recipe.cases]
    corpora = {
        name: _check_corpus(plan, name) for name in corpora_of(recipe, cases, list(recipe.evaluate))
    }
    return Check(
        name=recipe.name,
        output=recipe.output,
        base=_check_base(recipe),
        corpora=tuple(corpora.values()),
        cases=tuple(_check_case(plan, case, corpora) for case in cases if case != ORIGINAL),
        evaluations=tuple(
            _check_evaluation(plan, name, cases, corpora) for name in recipe.evaluate
        ),
        warnings=tuple(
            str(overlap) for overlap in overlaps_of(recipe, cases, plan.folders(recipe.corpora))
        ),
        notes=tuple(
            dict.fromkeys(
                str(left_out)
                for case in cases
                if case != ORIGINAL
                for left_out in plan.left_out(case)
            )
        ),
    )


def _check_base(recipe: Recipe) -> BaseCheck:
    from soritune.models import resolve

    base = recipe.model.base
    folder = resolve(base) if base.startswith(BUILTIN) else Path(base).expanduser()
    if folder.is_dir():
        weights = list(folder.glob("*.safetensors"))
        return BaseCheck(base, None, sum(path.stat().st_size for path in weights), False)
    parameters, num_bytes = KNOWN_BASES.get(base, (None, None))
    return BaseCheck(base, parameters, num_bytes, not _is_cached(base, recipe.model.revision))


def _is_cached(base: str, revision: str | None) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(base, "config.json", revision=revision), str)


def _check_corpus(plan: Plan, name: str) -> CorpusCheck:
    source = plan.recipe.corpora[name]
    card = plan.card(name)
    if card is not None:
        splits = {split: summary.utterances for split, summary in card.splits.items()}
        return CorpusCheck(
            name,
            source.source,
            True,
            splits,
            card.taken,
            card.duration_s,
            None,
            languages=card.languages,
        )
    published = published_source(source)
    if published is None:
        known = _known_splits(source)
        return CorpusCheck(name, source.source, False, known, count_source(source), None, None)
    return CorpusCheck(
        name,
        source.source,
        False,
        published.splits,
        count_source(source),
        published.duration_s,
        published.num_bytes,
        languages=published.languages,
        download=not published.by_hand,
        by_hand=published.by_hand,
    )


def _known_splits(source: BaseModel) -> Mapping[str, int] | None:
    if isinstance(source, DemoSource):
        copies = 0 if source.augment is None else source.augment.num_copies
        return {"train": source.train * (1 + copies), "dev": source.dev, "test": source.test}
    return None


def _check_case(plan: Plan, name: str, corpora: Mapping[str, CorpusCheck]) -> CaseCheck:
    case = plan.recipe.cases[name]
    left_out = {each.trained: len(each.ids) for each in plan.left_out(name)}
    utterances, exact = _per_epoch(case, corpora, left_out)
    exact &= all(
        corpora[part.corpus].compares_with(corpora[held])
        for part in case.train
        for held, _ in held_out_splits(plan.recipe, case, (part.corpus, part.split))
    )
    steps = None
    if utterances is not None:
        steps = max(1, round(math.ceil(utterances / case.batch_size) * case.epochs))
    return CaseCheck(
        name=name,
        title=case_title(name, plan.recipe),
        corpora=tuple(dict.fromkeys(part.corpus for part in case.train)),
        utterances_per_epoch=utterances,
        steps=steps,
        exact=exact,
        done=plan.train_stage(name).outcome() is not None,
    )


def _per_epoch(
    case: Case, corpora: Mapping[str, CorpusCheck], left_out: Mapping[tuple[str, str], int]
) -> tuple[int | None, bool]:
    """Utterances of an epoch, as training takes them: shares first, replays of their sum.

    Weights only divide their sum. A cap by hours is known once the corpus has been prepared, and
    then as if all its utterances were of one length.
    """
    total = 0
    all_exact = True
    for part in case.train:
        if part.replay is None:
            number, exact = corpora[part.corpus].utterances(part.split)
            if number is None:
                return None, False
            all_exact &= exact and part.max_hours is None
            number -= left_out.get((part.corpus, part.split), 0)
            number = max(1, round(number * part.share))
            if part.max_utterances is not None:
                number = min(number, part.max_utterances)
            if part.max_hours is not None:
                number = min(number, corpora[part.corpus].utterances_in(part.max_hours * 3600))
            total += number
    replayed = sum(
        max(1, round(total * part.replay)) for part in case.train if part.replay is not None
    )
    return total + replayed, all_exact


def _check_evaluation(
    plan: Plan, name: str, cases: Sequence[str], corpora: Mapping[str, CorpusCheck]
) -> EvaluationCheck:
    evaluation = plan.recipe.evaluate[name]
    corpus = corpora[evaluation.corpus]
    number, exact = corpus.utterances(evaluation.split)
    if number is not None and corpus.languages and len(corpus.languages) > 1:
        # A corpus of several languages: a translation takes what is spoken in one of them.
        spoken = evaluation.source_language
        if spoken is not None:
            number, exact = min(number, corpus.languages.get(spoken, 0)), False
    if number is not None and evaluation.limit is not None:
        number = min(number, evaluation.limit)
    done = sum(plan.score_stage(case, name).outcome() is not None for case in cases)
    return EvaluationCheck(
        name=name,
        corpus=evaluation.corpus,
        split=evaluation.split,
        task=evaluation.task.value,
        metrics=evaluation.metric_names,
        utterances=number,
        exact=exact,
        cases=len(cases),
        cases_done=done,
    )

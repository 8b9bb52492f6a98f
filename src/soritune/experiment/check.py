"""What a run would download, prepare, train and evaluate, found out without doing it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import BaseModel

from soritune.corpus.leakage import held_out_splits, overlaps_of
from soritune.corpus.split_warnings import Splits, read_splits, split_warnings, splits_of
from soritune.decoding.server import server_model
from soritune.errors import nearest
from soritune.experiment.check_records import (
    BaseCheck,
    CaseCheck,
    CorpusCheck,
    EvaluationCheck,
    RunCheck,
)
from soritune.experiment.corpus_state import CorpusState, corpus_state
from soritune.experiment.dev import no_dev
from soritune.experiment.loading import require_evaluations
from soritune.experiment.plan import Plan
from soritune.experiment.preparation import tested_splits
from soritune.experiment.renamed import orphan_text, orphans, trained_as
from soritune.experiment.run import corpora_of
from soritune.experiment.titles import case_title
from soritune.experiment.trainable import check_base, rate_warnings, size_warnings
from soritune.recipe import Case, Recipe
from soritune.recipe.schema import ORIGINAL
from soritune.sources import check_source, count_source, published_source
from soritune.sources.corpora.demo.source import DemoSource


def check(recipe: Recipe, only: Sequence[str] = ()) -> RunCheck:
    """Find out what a run would do; nothing is written or downloaded.

    Raises UserError where a file, a folder or a built-in base that the recipe names is missing.
    """
    require_evaluations(recipe)
    check_base(recipe)
    base = _check_base(recipe)
    plan = Plan.of(recipe)
    cases = list(only) or [ORIGINAL, *recipe.cases]
    names = corpora_of(recipe, cases, list(recipe.evaluate))
    # 1. The corpora that a run would prepare count as not prepared, whatever lies there.
    states = {name: _state(plan, name) for name in names}
    stale = frozenset(name for name, state in states.items() if state.card is None)
    plan = replace(plan, stale=stale)
    # 2. What that leaves of the rest.
    splits = {name: _splits(plan, name, states[name]) for name in names}
    corpora = {name: _check_corpus(plan, name, states[name], splits[name]) for name in names}
    trained = [case for case in cases if case != ORIGINAL]
    checked = tuple(_check_case(plan, case, corpora) for case in trained)
    warnings = [
        str(warning)
        for name, found in splits.items()
        if found is not None
        for warning in split_warnings(found, tested_splits(recipe, name))
        if name in stale or warning.kind != "other-test"
    ]
    for case in checked:
        warnings += rate_warnings(case.name, recipe.cases[case.name])
        if case.utterances_per_epoch is not None:
            number = case.utterances_per_epoch
            warnings += size_warnings(case.name, recipe.cases[case.name], number)
        splits_of_parts = [
            corpora[part.corpus].splits
            for part in recipe.cases[case.name].train
            if part.replay is None
        ]
        if recipe.cases[case.name].dev and all(
            known is not None and not known.get("dev") for known in splits_of_parts
        ):
            warnings.append(no_dev(case.name))
    overlaps = overlaps_of(recipe, cases, plan.folders(recipe.corpora))
    excluded = dict.fromkeys(str(each) for case in trained for each in plan.excluded(case))
    return RunCheck(
        name=recipe.name,
        output=recipe.output,
        base=base,
        corpora=tuple(corpora.values()),
        cases=checked,
        evaluations=tuple(
            _check_evaluation(plan, name, cases, corpora) for name in recipe.evaluate
        ),
        warnings=(*map(str, overlaps), *warnings),
        notes=(*excluded, *_orphan_notes(plan, checked), *_base_notes(base)),
    )


def _state(plan: Plan, name: str) -> CorpusState:
    source = plan.recipe.corpora[name]
    if not plan.is_prepared(name) and published_source(source) is not None:
        return CorpusState(None)  # not on this machine: nothing of it can be read
    return corpus_state(name, source, plan.corpus_folder(name))


def _splits(plan: Plan, name: str, state: CorpusState) -> Splits | None:
    """Return the splits that a corpus has or would get, None where only preparing it tells."""
    if state.card is not None:
        return splits_of(name, state.card)
    return read_splits(name, plan.recipe.corpora[name], plan.corpus_folder(name))


def _orphan_notes(plan: Plan, cases: Sequence[CaseCheck]) -> list[str]:
    kept = {plan.case_folder(case.trained_as) for case in cases if case.trained_as}
    return [orphan_text(folder) for folder in orphans(plan) if folder not in kept]


def _base_notes(base: BaseCheck) -> list[str]:
    from soritune.models.registry import families

    if not base.download or base.num_bytes is not None:
        return []
    known = [name for family in families() for name in family.published_bases]
    return [
        f"base {base.name} is not on this machine and not a base that this version has sizes for"
        f"{nearest(base.name, known)}; a run asks the hub for it before it prepares anything"
    ]


def _check_base(recipe: Recipe) -> BaseCheck:
    from soritune import hub
    from soritune.models import resolve
    from soritune.models.registry import builtin_names, family_of

    base, revision = recipe.model.base, recipe.model.revision
    if server_model(base) is not None:
        return BaseCheck(base, None, None, False, on_server=True)
    folder = resolve(base) if base in builtin_names() else Path(base).expanduser()
    if folder.is_dir():
        weights = list(folder.glob("*.safetensors"))
        return BaseCheck(base, None, sum(path.stat().st_size for path in weights), False)
    family = family_of(base, revision)
    published = None if family is None else family.published_bases.get(base)
    cached = hub.cached_folder(base, revision)
    download = cached is None or not any(cached.glob("*.safetensors"))
    if published is None:
        return BaseCheck(base, None, None, download)
    return BaseCheck(base, published.parameters, published.num_bytes, download)


def _check_corpus(plan: Plan, name: str, state: CorpusState, found: Splits | None) -> CorpusCheck:
    source = plan.recipe.corpora[name]
    card = state.card
    if card is not None:
        splits = {split: summary.utterances for split, summary in card.splits.items()}
        return CorpusCheck(
            name,
            source.source,
            True,
            splits,
            card.taken,
            card.duration_s,
            languages=card.languages,
        )
    check_source(source)
    published = published_source(source)
    if published is None:
        known = _known_splits(source)
        if known is None and found is not None:
            known = {split: size.utterances for split, size in found.sizes.items()}
        return CorpusCheck(
            name,
            source.source,
            False,
            known,
            count_source(source),
            reasons=state.reasons,
            exact=found is None,
        )
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
        reasons=state.reasons,
    )


def _known_splits(source: BaseModel) -> Mapping[str, int] | None:
    if isinstance(source, DemoSource):
        copies = 0 if source.augment is None else source.augment.num_copies
        return {"train": source.train * (1 + copies), "dev": source.dev, "test": source.test}
    return None


def _check_case(plan: Plan, name: str, corpora: Mapping[str, CorpusCheck]) -> CaseCheck:
    case = plan.recipe.cases[name]
    excluded = {each.trained: len(each.ids) for each in plan.excluded(name)}
    utterances, exact = _per_epoch(case, corpora, excluded)
    exact &= all(
        corpora[part.corpus].compares_with(corpora[held])
        for part in case.train
        for held, _ in held_out_splits(plan.recipe, case, (part.corpus, part.split))
    )
    steps = None
    if utterances is not None:
        steps = max(1, round(math.ceil(utterances / case.batch_size) * case.epochs))
    stage = plan.train_stage(name)
    former = trained_as(plan, name)
    waits = tuple(
        part.corpus
        for part in case.train
        if part.corpus in plan.stale and corpora[part.corpus].reasons
    )
    return CaseCheck(
        name=name,
        title=case_title(name, plan.recipe),
        corpora=tuple(dict.fromkeys(part.corpus for part in case.train)),
        utterances_per_epoch=utterances,
        steps=steps,
        exact=exact,
        done=stage.done() is not None or former is not None,
        reasons=() if waits else tuple(stage.why()),
        waits_for=tuple(dict.fromkeys(waits)) if stage.stamp.exists() else (),
        trained_as=former,
    )


def _per_epoch(
    case: Case, corpora: Mapping[str, CorpusCheck], excluded: Mapping[tuple[str, str], int]
) -> tuple[int | None, bool]:
    """Return the utterances of an epoch as training takes them: shares, then replays of their sum.

    Weights only divide their sum. A limit by hours is known once the corpus is prepared, and then
    as if all its utterances were of one length.
    """
    total = 0
    all_exact = True
    for part in case.train:
        if part.replay is None:
            number, exact = corpora[part.corpus].utterances(part.split)
            if number is None:
                return None, False
            all_exact &= exact and part.max_hours is None
            number -= excluded.get((part.corpus, part.split), 0)
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
        # Of a corpus of several languages, a translation takes what is spoken in one of them.
        spoken = evaluation.source_language
        if spoken is not None:
            number, exact = min(number, corpus.languages.get(spoken, 0)), False
    if number is not None and evaluation.limit is not None:
        number = min(number, evaluation.limit)
    done = sum(plan.score_stage(case, name).done() is not None for case in cases)
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

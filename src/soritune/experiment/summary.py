"""The content of the report, from what the stages left on disk."""

from __future__ import annotations

from dataclasses import replace

from soritune.corpus.split_warnings import split_warnings, splits_of
from soritune.experiment.conclusions import compare_cases, judge_retention
from soritune.experiment.outcomes import ScoringOutcome
from soritune.experiment.plan import Plan
from soritune.experiment.preparation import tested_splits
from soritune.experiment.titles import augmentation_words, case_title
from soritune.recipe import Evaluation
from soritune.recipe.schema import ORIGINAL
from soritune.report.content import Report
from soritune.report.records import CaseSummary, Sample
from soritune.report.table import EvaluationSummary, columns_for
from soritune.scoring.evaluate import default_variants
from soritune.scoring.score import Score
from soritune.training.curve import read_curve

# The source whose speech is synthetic, which the report says.
SYNTHETIC_SOURCE = "demo"


def build_report(plan: Plan) -> Report:
    """Return the report of all stages that are done with exactly this recipe."""
    recipe = plan.recipe
    results: list[Score] = []
    samples: list[Sample] = []
    outcomes: list[ScoringOutcome] = []
    languages: dict[str, str] = {}
    cases = []
    others = plan.other_models()
    for case in (ORIGINAL, *recipe.cases, *others):
        times_s: list[float | None] = []
        for name in recipe.evaluate:
            done = plan.score_stage(case, name).done()
            if done is None:
                times_s.append(None)
                continue
            results += done.outcome.scores
            samples += done.outcome.samples
            outcomes.append(done.outcome)
            languages[name] = done.outcome.language
            times_s.append(done.outcome.decoding_s)
        known_s = [time_s for time_s in times_s if time_s is not None]
        evaluating_s = sum(known_s) if len(known_s) == len(times_s) else None
        if case in others:
            source = others[case].source
            if any(score.case == case for score in results):
                cases.append(CaseSummary(case, case, evaluating_s=evaluating_s, model=source))
            continue
        cases.append(_case_summary(plan, case, evaluating_s))
    columns = columns_for(
        [
            _evaluation_summary(name, evaluation, languages.get(name) or _language(plan, name))
            for name, evaluation in recipe.evaluate.items()
        ],
        recipe.language,
    )
    tests = compare_cases(plan, columns)
    return Report(
        name=recipe.name,
        columns=columns,
        cases=tuple(cases),
        results=tuple(results),
        samples=tuple(samples),
        synthetic_speech=any(
            source.source == SYNTHETIC_SOURCE for source in recipe.corpora.values()
        ),
        warnings=_warnings(plan),
        results_path=plan.results_path,
        report_path=plan.report_path,
        page_path=plan.page_path,
        tests=tuple(tests),
        retention=tuple(judge_retention(plan, tests)),
        failures=tuple(each for outcome in outcomes for each in outcome.failures),
        conditions=tuple(each for outcome in outcomes for each in outcome.conditions),
        confusions=tuple(each for outcome in outcomes for each in outcome.confusions),
        speed=tuple(outcome.speed for outcome in outcomes),
    )


def _evaluation_summary(name: str, evaluation: Evaluation, language: str) -> EvaluationSummary:
    variants = evaluation.variants or default_variants(evaluation.to or language)
    return EvaluationSummary(name, evaluation.task, language, evaluation.metric_names, variants)


def _warnings(plan: Plan) -> tuple[str, ...]:
    """Return what is to be known of the splits that are evaluated, as far as they are prepared."""
    evaluated = {each.corpus for each in plan.recipe.evaluate.values()}
    cards = {name: plan.card(name) for name in plan.recipe.corpora if name in evaluated}
    return tuple(
        str(warning)
        for name, card in cards.items()
        if card is not None
        for warning in split_warnings(splits_of(name, card), tested_splits(plan.recipe, name))
    )


def _language(plan: Plan, evaluation: str) -> str:
    """Return what is spoken in an evaluation that is not done yet, as far as that is known."""
    settings = plan.recipe.evaluate[evaluation]
    if settings.source_language is not None:
        return settings.source_language
    card = plan.card(settings.corpus)
    if card is None or not card.languages:
        return plan.recipe.language
    return max(card.languages, key=lambda language: card.languages[language])


def _case_summary(plan: Plan, case: str, evaluating_s: float | None) -> CaseSummary:
    title = case_title(case, plan.recipe)
    if case == ORIGINAL:
        base = plan.recipe.model.base
        return CaseSummary(name=case, title=title, evaluating_s=evaluating_s, model=base)
    settings = plan.recipe.cases[case]
    planned = CaseSummary(
        name=case,
        title=title,
        mode=settings.mode,
        learning_rate=settings.learning_rate,
        audio_learning_rate=settings.audio_learning_rate,
        batch_size=settings.batch_size,
        augmentation=augmentation_words(settings),
    )
    done = plan.train_stage(case).done()
    if done is None:
        return planned
    summary = done.outcome
    return replace(
        planned,
        trained=summary.trained,
        parameters=summary.parameters,
        trained_tensors=summary.trained_tensors,
        moved_tensors=summary.moved_tensors,
        training_s=summary.seconds,
        evaluating_s=evaluating_s,
        model=str(plan.model_folder(case)),
        excluded=summary.excluded,
        curve=read_curve(plan.case_folder(case)),
    )

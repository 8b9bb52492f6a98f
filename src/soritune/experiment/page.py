"""The page of an experiment: its utterances, their sound, and what stands behind the figures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial

from pydantic import ValidationError

from soritune.audio import Samples
from soritune.corpus.store import Corpus
from soritune.decoding.hypotheses import read_hypotheses
from soritune.doctor.findings import Audit
from soritune.errors import UserError
from soritune.experiment.fingerprint import corpus_identity
from soritune.experiment.output import RECIPE_FILE
from soritune.experiment.plan import Plan
from soritune.files import read_regular
from soritune.recipe.schema import ORIGINAL
from soritune.report.background import Background, CorpusSummary, FindingSummary
from soritune.report.content import Report
from soritune.report.page import write_page
from soritune.report.sound import FOLDER, can_encode, keep_sound
from soritune.report.utterances import CaseTexts, EvaluatedUtterances
from soritune.scoring.utterances import read_utterances

Clips = dict[str, Callable[[], Samples]]


def write_experiment_page(plan: Plan, report: Report) -> None:
    """Write report.html and the sound for it into the output folder of a plan."""
    clips: Clips = {}
    found = [_evaluated(plan, evaluation, clips) for evaluation in plan.recipe.evaluate]
    if clips:
        keep_sound(plan.output / FOLDER, clips)
    utterances = [each for each in found if each is not None]
    write_page(plan.page_path, report, utterances, _background(plan))


def _evaluated(plan: Plan, evaluation: str, clips: Clips) -> EvaluatedUtterances | None:
    """Return the utterances of an evaluation, None where no case is scored; add their clips."""
    cases: dict[str, CaseTexts] = {}
    language = ""
    ids: list[str] = []
    conditions: list[dict[str, str]] = []
    for case in (ORIGINAL, *plan.recipe.cases, *plan.other_models()):
        done = plan.score_stage(case, evaluation).done()
        if done is None:
            continue
        scores = read_utterances(plan.utterances_path(case, evaluation))
        by_id = {each.id: each for each in read_hypotheses(plan.hypotheses_path(case, evaluation))}
        if scores is None or not by_id.keys() >= {each.id for each in scores}:
            continue
        if not cases:
            ids = [each.id for each in scores]
            conditions = [each.conditions for each in scores]
            said = [by_id[id] for id in ids]
            language = plan.recipe.evaluate[evaluation].to or done.outcome.language
        if [each.id for each in scores] == ids:
            texts = [by_id[id].scored for id in ids]
            cases[case] = CaseTexts(case, texts, [each.failures for each in scores])
    if not cases:
        return None
    return EvaluatedUtterances(
        evaluation=evaluation,
        language=language,
        ids=ids,
        references=[each.reference for each in said],
        durations_s=[each.duration_s for each in said],
        conditions=conditions,
        cases=list(cases.values()),
        sounds=_sounds(plan, evaluation, ids, clips),
    )


def _sounds(plan: Plan, evaluation: str, ids: list[str], clips: Clips) -> list[str | None]:
    """Return the keys of recordings; None of those that are not here any more."""
    folder = plan.corpus_folder(plan.recipe.evaluate[evaluation].corpus)
    try:
        corpus = Corpus.open(folder)
    except UserError:  # a report of a run whose corpora were removed
        return [None] * len(ids)
    if not can_encode():
        return [None] * len(ids)
    identity = corpus_identity(corpus.card)
    keys = {id: hashlib.sha256(f"{identity}\0{id}".encode()).hexdigest()[:24] for id in ids}
    found = {}
    for record in corpus.records():
        if record.id in keys:
            found[record.id] = keys[record.id]
            clips[keys[record.id]] = partial(corpus.samples, record)
    return [found.get(id) for id in ids]


def _background(plan: Plan) -> Background:
    recipe = plan.output / RECIPE_FILE
    cards = {name: plan.card(name) for name in plan.recipe.corpora}
    corpora = [
        CorpusSummary(
            name=name,
            source=plan.recipe.corpora[name].source,
            license=card.license,
            utterances=card.taken,
            duration_s=card.duration_s,
            speakers=card.speakers,
            quarantined=card.quarantined,
        )
        for name, card in cards.items()
        if card is not None
    ]
    return Background(
        base=plan.recipe.model.base,
        language=plan.recipe.language,
        recipe=recipe.read_text(encoding="utf-8", errors="replace") if recipe.is_file() else "",
        corpora=tuple(corpora),
        findings=_findings(plan, corpora),
        audit_command=f"soritune doctor {recipe}",
    )


def _findings(plan: Plan, corpora: list[CorpusSummary]) -> tuple[FindingSummary, ...] | None:
    """Return what an audit of exactly these corpora found; None where there is none."""
    try:
        audit = Audit.model_validate_json(read_regular(plan.audit_path))
    except (OSError, ValidationError):
        return None
    audited = {each.name: (each.utterances, round(each.duration_s)) for each in audit.corpora}
    if audited != {each.name: (each.utterances, round(each.duration_s)) for each in corpora}:
        return None
    return tuple(
        FindingSummary(
            severity=each.severity,
            corpus=each.corpus,
            title=each.title,
            utterances=each.utterances,
            share=each.share,
            meaning=each.meaning,
            fix=each.fix,
        )
        for each in audit.findings
    )

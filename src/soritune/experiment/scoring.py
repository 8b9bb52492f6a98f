"""The scoring of one evaluation of one case, from what the model wrote."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soritune.corpus.store import Corpus, Record
from soritune.corpus.subset import subset
from soritune.experiment.outcomes import DecodingOutcome, ScoringOutcome
from soritune.experiment.selection import spoken_language
from soritune.languages.form import TextForm
from soritune.recipe import Evaluation
from soritune.report.records import Sample
from soritune.scoring.conditions import condition_scores, group_of, speaking_rate
from soritune.scoring.error_rates import confusions
from soritune.scoring.evaluate import default_variants, tables_of
from soritune.scoring.failures import failures_of
from soritune.scoring.records import FAILURES, Confusion, FailureCount, Speed, UtteranceScore
from soritune.scoring.table import scores_of
from soritune.scoring.utterances import counts_of, write_utterances
from soritune.sources.silence import frame_levels_db, speech_and_noise_db
from soritune.tasks import Task

if TYPE_CHECKING:
    from soritune.decoding.hypotheses import Hypothesis

NUM_SAMPLES = 3  # utterances of each evaluation that the report shows
NUM_CONFUSIONS = 10
"""The most frequent ones of an evaluation that are kept."""


@dataclass(frozen=True)
class Sound:
    """Level of the speech in dBFS, and how far it is above the noise."""

    level_dbfs: float
    snr_db: float


class SoundMeter:
    """Measures clips, each once however many cases are scored on it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], Sound] = {}

    def measure(self, corpus: Corpus, record: Record) -> Sound:
        """Return the level and the noise of a clip."""
        key = (str(corpus.folder), record.id)
        if key not in self._known:
            speech, noise = speech_and_noise_db(frame_levels_db(corpus.samples(record)))
            self._known[key] = Sound(speech, speech - noise)
        return self._known[key]


def score_evaluation(
    case: str,
    name: str,
    settings: Evaluation,
    records: Sequence[Record],
    hypotheses: Sequence[Hypothesis],
    decoding: DecodingOutcome,
    decoding_s: float | None,
    sound: Callable[[Record], Sound],
    form: str,
    out: Path,
    system: str,
) -> ScoringOutcome:
    """Score what a case wrote for `records`, in their order; single utterances go to `out`.

    `form` is the part of the signatures that says how the references were changed
    (`form_signature`), `system` which model wrote it and how.
    """
    language = spoken_language(records)
    target = settings.to or language
    variants = settings.variants or default_variants(target)
    references = [hypothesis.reference for hypothesis in hypotheses]
    written = [hypothesis.scored for hypothesis in hypotheses]
    speakers = [record.speaker for record in records]
    durations_s = [record.duration_s for record in records]
    tables = tables_of(settings.metric_names, target, references, written, variants, durations_s)
    failures = [
        failures_of(reference, text, target)
        for reference, text in zip(references, written, strict=True)
    ]
    if settings.task is Task.AST_COT:
        # The transcript before the separator, beside the translation.
        transcripts = [hypothesis.transcript or "" for hypothesis in hypotheses]
        tables += tables_of(("cer",), language, [record.text for record in records], transcripts)
        failures = [
            found if hypothesis.translation is not None else (*found, "unparsable")
            for found, hypothesis in zip(failures, hypotheses, strict=True)
        ]
    tables = [replace(table, signature=table.signature + form) for table in tables]
    conditions = [_conditions(record, sound(record)) for record in records]
    write_utterances(
        out,
        [
            UtteranceScore(
                id=record.id,
                speaker=record.speaker,
                failures=failures[row],
                conditions=conditions[row],
                counts=counts_of(tables, row),
            )
            for row, record in enumerate(records)
        ],
    )
    by_id = {hypothesis.id: hypothesis for hypothesis in hypotheses}
    shown = [by_id[each] for each in subset(by_id, NUM_SAMPLES)]
    scores = scores_of(tables, speakers)
    return ScoringOutcome(
        language=language,
        decoding_s=decoding_s,
        scores=[replace(score, case=case, evaluation=name, system=system) for score in scores],
        samples=[Sample(case, name, h.reference, h.output) for h in shown],
        failures=_failure_counts(case, name, failures),
        conditions=condition_scores(case, name, tables[0], conditions, speakers),
        confusions=_confusions(case, name, references, written, settings.task),
        speed=_speed(case, name, hypotheses, decoding, decoding_s),
    )


def form_signature(source: Mapping[str, Any]) -> str:
    """Return the part of a signature that names the form of a corpus's texts, "" as they were.

    `source` is that of the corpus's card.
    """
    form = source.get("text") or {}
    changed = [
        f"{name}.{form[name]}" for name in TextForm.model_fields if form.get(name, "keep") != "keep"
    ]
    return (
        "|text:" + ",".join([*changed, f"rules.{form.get('rules', 1)}"]) if form and changed else ""
    )


def _conditions(record: Record, sound: Sound) -> dict[str, str]:
    found = {
        "length": group_of("length", record.duration_s),
        "level": group_of("level", sound.level_dbfs),
        "snr": group_of("snr", sound.snr_db),
        "language": record.language,
    }
    rate = speaking_rate(record.text, record.language, record.duration_s)
    if rate is not None:
        found["rate"] = group_of("rate", rate)
    if record.speaker is not None:
        found["speaker"] = record.speaker
    if record.source is not None:
        found["source"] = record.source
    return found


def _failure_counts(
    case: str, name: str, failures: Sequence[tuple[str, ...]]
) -> list[FailureCount]:
    counts = Counter(failure for each in failures for failure in each)
    return [
        FailureCount(
            case=case,
            evaluation=name,
            failure=failure,
            count=counts[failure],
            utterances=len(failures),
        )
        for failure in FAILURES
    ]


def _confusions(
    case: str, name: str, references: Sequence[str], written: Sequence[str], task: Task
) -> list[Confusion]:
    if task is not Task.ASR:
        return []
    ordered = sorted(confusions(references, written).items(), key=lambda each: (-each[1], each[0]))
    return [
        Confusion(case=case, evaluation=name, slot=slot, said=said, written=other, count=count)
        for (slot, said, other), count in ordered[:NUM_CONFUSIONS]
    ]


def _speed(
    case: str,
    name: str,
    hypotheses: Sequence[Hypothesis],
    decoding: DecodingOutcome,
    decoding_s: float | None,
) -> Speed:
    audio_s = sum(hypothesis.duration_s for hypothesis in hypotheses)
    tokens = [hypothesis.tokens for hypothesis in hypotheses]
    total = None if None in tokens else sum(number for number in tokens if number is not None)
    return Speed(
        case=case,
        evaluation=name,
        audio_s=round(audio_s, 3),
        decoding_s=decoding_s,
        audio_per_s=audio_s / decoding_s if decoding_s else None,
        tokens_per_s=total / decoding_s if decoding_s and total is not None else None,
        batch_size=decoding.batch_size,
        device=decoding.device,
    )

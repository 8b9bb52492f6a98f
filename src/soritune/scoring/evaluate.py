"""All scores of one evaluation, from what the model wrote."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import replace

from soritune.errors import UserError, nearest
from soritune.languages import find_language
from soritune.scoring.bootstrap import NUM_RESAMPLES, SEED, Scorer
from soritune.scoring.error_rates import (
    error_table,
    f1,
    invented_table,
    per_minute,
    percent,
    spacing_table,
)
from soritune.scoring.score import ERROR_RATES, METRICS, RAW, Score, check_text
from soritune.scoring.table import Table, scores_of
from soritune.scoring.translation import (
    TOKENIZERS,
    bleu_scores,
    bleu_table,
    chrf_scores,
    chrf_table,
)
from soritune.scoring.variants import READING, SEED_VARIANT, VARIANTS, check_variant

SCORERS: dict[str, Scorer] = {
    **dict.fromkeys(ERROR_RATES, percent),
    "spacing": f1,
    "invented": per_minute,
    "bleu": bleu_scores,
    "chrf": chrf_scores,
}
"""Scores from sums of the counts of utterances, by metric."""
METRIC_NAMES = (*METRICS, *(f"bleu/{tokenizer}" for tokenizer in TOKENIZERS))


def default_variants(language: str) -> tuple[str, ...]:
    """Return the variants that recognition of a language is scored in.

    Where a language has readings, the figures of the reference system and those that count
    readings as equal stand beside the raw ones.
    """
    has_readings = find_language(language).readings is not None
    return (RAW, SEED_VARIANT, READING) if has_readings else (RAW,)


def tables_of(
    metrics: Sequence[str],
    target_language: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    variants: Sequence[str] = (RAW,),
    durations_s: Sequence[float] | None = None,
) -> list[Table]:
    """Return the counts of each metric, error rates in each variant that they have.

    `references` are transcripts for `asr` and translations otherwise; `target_language` is the
    language they are written in. The first of `variants` is the first of each metric. "invented"
    needs the lengths of the clips, `durations_s`.
    Raises UserError on an unknown metric or variant, an empty list or a missing tokenizer,
    ValueError on lists of unequal lengths.
    """
    if not metrics:
        raise UserError(f"no metric to score; name some of {', '.join(METRIC_NAMES)}")
    for metric in metrics:
        _check_metric(metric)
    for variant in variants:
        check_variant(variant)
    pair = (references, hypotheses)
    found: list[Table] = []
    for metric in metrics:
        name, _, tokenizer = metric.partition("/")
        if name in ERROR_RATES:
            chosen = [each for each in variants if name in VARIANTS[each].metrics]
            found += [error_table(name, *pair, each, target_language) for each in chosen or [RAW]]
        elif name == "invented":
            if durations_s is None:
                raise UserError(
                    '"invented" counts words a minute of clips without speech, so it needs their '
                    "lengths: use it in a recipe, with suite: non-speech"
                )
            found.append(invented_table(hypotheses, durations_s))
        elif name == "spacing":
            found.append(spacing_table(*pair))
        elif name == "bleu":
            found.append(bleu_table(*pair, target_language, tokenizer or None))
        else:
            found.append(chrf_table(*pair))
    checksum = _checksum(references)
    return [replace(table, signature=f"{table.signature}|refs:{checksum}") for table in found]


def evaluate_hypotheses(
    metrics: Sequence[str],
    target_language: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    variants: Sequence[str] = (RAW,),
    *,
    speakers: Sequence[str | None] | None = None,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> list[Score]:
    """Scores in the order of `metrics`, with intervals; arguments and errors as in `tables_of`."""
    tables = tables_of(metrics, target_language, references, hypotheses, variants)
    return scores_of(tables, speakers, num_resamples=num_resamples, seed=seed)


def checked_texts(what: str, texts: Iterable[object]) -> list[str]:
    """Return the texts that a user gives for `what`, one an utterance, as a list.

    Raises UserError for a single text, for what is none, and for texts that cannot be compared.
    """
    if isinstance(texts, str):
        raise UserError(f"{what}: is one text. Give a list with a text for each utterance.")
    found = []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise UserError(
                f"{what}[{number}]: is {type(text).__name__}, not a text. Give an empty text where "
                "nothing was said or written."
            )
        check_text(f"{what}[{number}]", text)
        found.append(text)
    return found


def _checksum(references: Sequence[str]) -> str:
    """Return what tells test sets apart: the references in their order."""
    digest = hashlib.sha256()
    for text in references:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\n")
    return digest.hexdigest()[:12]


def _check_metric(metric: str) -> None:
    if metric in METRIC_NAMES:
        return
    raise UserError(
        f'metric "{metric}" is unknown; use {", ".join(METRIC_NAMES)}'
        f"{nearest(metric.lower(), METRIC_NAMES)}"
    )

"""All scores of one evaluation, from what the model wrote."""

from __future__ import annotations

from collections.abc import Sequence

from soritune.errors import UserError, nearest
from soritune.scoring.bootstrap import NUM_RESAMPLES, SEED
from soritune.scoring.error_rates import cer, wer
from soritune.scoring.normalization import RAW
from soritune.scoring.score import METRICS, Score
from soritune.scoring.translation import bleu, chrf


def evaluate_hypotheses(
    metrics: Sequence[str],
    target_language: str,
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    normalization: str = RAW,
    spaces: bool = True,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> list[Score]:
    """Scores in the order of `metrics` ("cer", "wer", "bleu", "chrf").

    `references` are transcripts for `asr` and translations otherwise; `target_language` is the
    language they are written in. `normalization` and `spaces` concern error rates only.
    Raises UserError on an unknown metric, an empty list or a missing tokenizer, ValueError on
    lists of unequal lengths.
    """
    for metric in metrics:
        _check_metric(metric)

    def score(metric: str) -> Score:
        pairs = (references, hypotheses)
        if metric == "cer":
            return cer(*pairs, normalization, spaces, num_resamples=num_resamples, seed=seed)
        if metric == "wer":
            return wer(*pairs, normalization, num_resamples=num_resamples, seed=seed)
        if metric == "bleu":
            return bleu(*pairs, target_language, num_resamples=num_resamples, seed=seed)
        return chrf(*pairs, num_resamples=num_resamples, seed=seed)

    return [score(metric) for metric in metrics]


def _check_metric(metric: str) -> None:
    if metric in METRICS:
        return
    raise UserError(
        f'metric "{metric}" is unknown; use {", ".join(METRICS)}{nearest(metric.lower(), METRICS)}'
    )

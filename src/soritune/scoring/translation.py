"""BLEU and chrF through sacrebleu, with its own signature and its own statistics.

Texts reach sacrebleu as they are: any change would make its published signature untrue.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from soritune.errors import UserError
from soritune.languages import find_language
from soritune.scoring.bootstrap import NUM_RESAMPLES, SEED, Floats, bootstrap_interval
from soritune.scoring.score import Score, check_pairs, package_version


def bleu(
    references: Sequence[str],
    hypotheses: Sequence[str],
    target_language: str,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Score:
    """Return corpus BLEU (0–100) with the tokenizer of the language that is translated into.

    `target_language` is a code ("de"), a tag ("de-DE") or a name.

    Raises UserError where that tokenizer is not installed or there are no utterances, ValueError
    on lists of unequal lengths.
    """
    check_pairs("bleu", references, hypotheses)
    tokenizer = find_language(target_language).bleu_tokenizer
    try:
        metric = _bleu_metric(tokenizer)
    except RuntimeError as error:  # what sacrebleu raises where the tokenizer's package is missing
        extra = tokenizer.partition("-")[0]
        raise UserError(
            f"BLEU into {target_language!r} needs the tokenizer {tokenizer}, which does not "
            f'start: pip install "sacrebleu[{extra}]"'
        ) from error
    return _score(
        metric, references, hypotheses, name="bleu", num_resamples=num_resamples, seed=seed
    )


@cache
def _bleu_metric(tokenizer: str) -> BLEU:
    """Return the metric, one in a process: sacrebleu never frees what MeCab holds open."""
    return BLEU(tokenize=tokenizer)


def chrf(
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Score:
    """Return corpus chrF2 (0–100): character 6-grams without words, the same in every language.

    Errors as in `bleu`.
    """
    check_pairs("chrf", references, hypotheses)
    return _score(
        CHRF(), references, hypotheses, name="chrf", num_resamples=num_resamples, seed=seed
    )


def _score(
    metric: BLEU | CHRF,
    references: Sequence[str],
    hypotheses: Sequence[str],
    *,
    name: str,
    num_resamples: int,
    seed: int,
) -> Score:
    # sacrebleu offers no public way to its sentence statistics; tokenising once instead of once
    # a resample is what makes 1,000 resamples cheap.
    table = np.array(metric._extract_corpus_statistics(hypotheses, [references]), dtype=np.float64)

    def scores_from_sums(sums: Floats) -> Floats:
        return np.array([metric._compute_score_from_stats(list(row)).score for row in sums])

    low, high = bootstrap_interval(table, scores_from_sums, num_resamples, seed)
    value = float(scores_from_sums(table.sum(axis=0, keepdims=True))[0])
    # The fields that sacrebleu sets when it resamples itself, so that its signature names them.
    metric.n_bootstrap, metric.seed = num_resamples, str(seed)
    return Score(
        metric=name,
        value=value,
        low=low,
        high=high,
        utterances=len(references),
        signature=f"{name}|{metric.get_signature()}|soritune:{package_version('soritune')}",
    )

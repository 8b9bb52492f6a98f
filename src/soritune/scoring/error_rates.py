"""Character and word error rates through jiwer, for a corpus and for each utterance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import jiwer
import numpy as np

from soritune.scoring.bootstrap import NUM_RESAMPLES, SEED, Floats, bootstrap_interval
from soritune.scoring.normalization import NORMALIZATIONS, RAW, normalize_all
from soritune.scoring.score import Score, check_pairs, package_version

Unit = Literal["char", "word"]


@dataclass(frozen=True)
class UtteranceErrors:
    """Edits that turn one hypothesis into its reference, in characters or words."""

    substitutions: int
    deletions: int
    insertions: int
    reference_length: int

    @property
    def edits(self) -> int:
        return self.substitutions + self.deletions + self.insertions


def score_utterances(
    references: Sequence[str],
    hypotheses: Sequence[str],
    unit: Unit = "char",
    normalization: str = RAW,
    spaces: bool = True,
) -> list[UtteranceErrors]:
    """Errors of each utterance, in order: what `cer` ("char") and `wer` ("word") add up.

    `spaces` says whether spaces count as characters; words are always separated by them. An empty
    reference makes all that was written an insertion. Raises UserError on an unknown
    normalization or without utterances, ValueError on lists of unequal lengths.
    """
    check_pairs("cer" if unit == "char" else "wer", references, hypotheses)
    keep_spaces = spaces or unit == "word"
    normal_references = normalize_all(references, normalization, keep_spaces)
    normal_hypotheses = normalize_all(hypotheses, normalization, keep_spaces)
    output: jiwer.CharacterOutput | jiwer.WordOutput
    if unit == "char":
        output = jiwer.process_characters(normal_references, normal_hypotheses)
    else:
        output = jiwer.process_words(normal_references, normal_hypotheses)
    return [
        _count(chunks, len(reference))
        for chunks, reference in zip(output.alignments, output.references, strict=True)
    ]


def cer(
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalization: str = RAW,
    spaces: bool = True,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Score:
    """Character error rate in percent: all edits over the length of all references.

    The default counts spaces, case and punctuation unchanged, as the published evaluations
    of Zeroth with jiwer do. Errors as in `score_utterances`.
    """
    errors = score_utterances(references, hypotheses, "char", normalization, spaces)
    counted = f"unit:char|space:{'kept' if spaces else 'removed'}|{NORMALIZATIONS[normalization]}"
    return _rate("cer", errors, counted, num_resamples, seed)


def wer(
    references: Sequence[str],
    hypotheses: Sequence[str],
    normalization: str = RAW,
    *,
    num_resamples: int = NUM_RESAMPLES,
    seed: int = SEED,
) -> Score:
    """Word error rate in percent; words are separated by white space. Otherwise as `cer`."""
    errors = score_utterances(references, hypotheses, "word", normalization)
    counted = f"unit:word|{NORMALIZATIONS[normalization]}"
    return _rate("wer", errors, counted, num_resamples, seed)


def _rate(
    metric: str, errors: list[UtteranceErrors], counted: str, num_resamples: int, seed: int
) -> Score:
    table = np.array([(each.edits, each.reference_length) for each in errors], dtype=np.float64)
    low, high = bootstrap_interval(table, _percent, num_resamples, seed)
    return Score(
        metric=metric,
        value=float(_percent(table.sum(axis=0, keepdims=True))[0]),
        low=low,
        high=high,
        utterances=len(errors),
        signature=(
            f"{metric}|{counted}|norm:nfc|jiwer:{package_version('jiwer')}"
            f"|soritune:{package_version('soritune')}|bs:{num_resamples}|seed:{seed}"
        ),
    )


def _percent(sums: Floats) -> Floats:
    """Rates from (edits, reference length), shape (n, 2) to (n,).

    Without any reference character the rate is the number of edits, as jiwer has it.
    """
    rates: Floats = 100.0 * (sums[:, 0] / np.maximum(sums[:, 1], 1.0))
    return rates


def _count(chunks: list[jiwer.AlignmentChunk], reference_length: int) -> UtteranceErrors:
    edits = {"substitute": 0, "delete": 0, "insert": 0, "equal": 0}
    for chunk in chunks:
        in_reference = chunk.ref_end_idx - chunk.ref_start_idx
        in_hypothesis = chunk.hyp_end_idx - chunk.hyp_start_idx
        edits[chunk.type] += in_hypothesis if chunk.type == "insert" else in_reference
    return UtteranceErrors(
        substitutions=edits["substitute"],
        deletions=edits["delete"],
        insertions=edits["insert"],
        reference_length=reference_length,
    )

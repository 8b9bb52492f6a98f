"""Counts of n-grams against those of sacrebleu, on generated pairs with Hangul and odd texts."""

import random
from collections.abc import Callable

import numpy as np
import pytest
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from soritune.scoring import ngrams
from soritune.scoring.bootstrap import resampled_sums
from soritune.scoring.translation import bleu_table, chrf_table

WORDS = [
    *("나는", "학교에", "간다", "the", "a", "cat,", "sat.", "3.14", "1,000", "–", "'tis", "a-b"),
    *("&amp;", "ㅋㅋㅋㅋ", "🙂", "e\u0301", "-", "\u3000", ""),
]


def pairs(number: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts with many repetitions, empty ones among them."""
    draw = random.Random(seed)
    sides = [
        [" ".join(draw.choices(WORDS, k=draw.randrange(12))) for _ in range(number)] for _ in "ab"
    ]
    return sides[0], sides[1]


def near_pairs(number: int, seed: int) -> tuple[list[str], list[str]]:
    """Texts of which most words stand at the same place, or a few places away."""
    draw = random.Random(seed)
    references, _ = pairs(number, seed)
    hypotheses = []
    for text in references:
        words = text.split(" ")
        for _ in range(draw.randrange(3)):
            words.insert(draw.randrange(len(words) + 1), draw.choice(words))
            if draw.random() < 0.5:
                del words[draw.randrange(len(words))]
        hypotheses.append(" ".join(words))
    return references, hypotheses


def test_long_texts_are_counted_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    references, hypotheses = near_pairs(300, 2)
    at_once = chrf_table(references, hypotheses).counts
    monkeypatch.setattr(ngrams, "_CHUNK_LETTERS", 100)  # fewer than some texts have
    assert np.array_equal(chrf_table(references, hypotheses).counts, at_once)


@pytest.mark.parametrize("made", [pairs, near_pairs])
@pytest.mark.parametrize("name", ["bleu", "chrf"])
def test_counts_and_scores_are_those_of_sacrebleu(
    name: str, made: Callable[[int, int], tuple[list[str], list[str]]]
) -> None:
    references, hypotheses = made(4500, 1)  # more than a chunk
    metric = BLEU() if name == "bleu" else CHRF()
    theirs = np.array(metric._extract_corpus_statistics(hypotheses, [references]))
    table = (
        bleu_table(references, hypotheses, "en")
        if name == "bleu"
        else chrf_table(references, hypotheses)
    )
    assert np.array_equal(table.counts, theirs)
    sums = np.concatenate(
        [resampled_sums(table.counts, 50), table.counts[:200], np.zeros((1, theirs.shape[1]))]
    )
    expected = [metric._compute_score_from_stats(list(map(int, row))).score for row in sums]
    assert table.scorer(sums) == pytest.approx(expected, abs=1e-9)
